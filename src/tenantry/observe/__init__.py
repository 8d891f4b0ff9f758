"""Observation: health, metrics, slow statements, plans, what runs now; ``observe.spans`` tells OpenTelemetry."""

from tenantry.observe.activity import Lock, Running, locks, running
from tenantry.observe.core import Observer
from tenantry.observe.counting import Counted, count_statements
from tenantry.observe.explaining import Plan, explain, explain_async
from tenantry.observe.health import Check, DatabaseInfo, Health
from tenantry.observe.logs import JSONLines, SessionLogger, logger_of
from tenantry.observe.measuring import Measured
from tenantry.observe.metrics import METRICS, Metrics, Snapshot
from tenantry.observe.pools import PoolStatus
from tenantry.observe.slow_log import SlowLog
from tenantry.observe.tracking import track_metrics
from tenantry.observe.transactions import Open, Sent, Slow, Transaction

__all__ = [
    "METRICS",
    "Check",
    "Counted",
    "DatabaseInfo",
    "Health",
    "JSONLines",
    "Lock",
    "Measured",
    "Metrics",
    "Observer",
    "Open",
    "Plan",
    "PoolStatus",
    "Running",
    "Sent",
    "SessionLogger",
    "Slow",
    "SlowLog",
    "Snapshot",
    "Transaction",
    "count_statements",
    "explain",
    "explain_async",
    "locks",
    "logger_of",
    "running",
    "track_metrics",
]
