"""Events committed with the change that they tell of, and delivered at least once and in order for each tenant."""

from tenantry.outbox.core import Handler, Outbox
from tenantry.outbox.engines import Engine, Procrastinate
from tenantry.outbox.events import Event, EventState
from tenantry.outbox.relay import Backoff, Delivery, Relay

__all__ = [
    "Backoff",
    "Delivery",
    "Engine",
    "Event",
    "EventState",
    "Handler",
    "Outbox",
    "Procrastinate",
    "Relay",
]
