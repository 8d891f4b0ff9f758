"""The helpdesk: companies, agents, tickets and conversations."""

from tenantry.packs.helpdesk.base import HelpdeskBase
from tenantry.packs.helpdesk.models import (
    Agent,
    AuthorType,
    Company,
    Conversation,
    Ticket,
    TicketPriority,
    TicketStatus,
)

__all__ = [
    "Agent",
    "AuthorType",
    "Company",
    "Conversation",
    "HelpdeskBase",
    "Ticket",
    "TicketPriority",
    "TicketStatus",
]
