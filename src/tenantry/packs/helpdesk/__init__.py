"""The helpdesk: companies, agents, tickets and conversations, and the repositories that read and write them."""

from typing import TYPE_CHECKING, Any

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
from tenantry.packs.helpdesk.repositories import (
    AgentRepository,
    CompanyRepository,
    ConversationRepository,
    TicketRepository,
)

if TYPE_CHECKING:
    from tenantry.packs.helpdesk.aio import (
        AsyncAgentRepository,
        AsyncCompanyRepository,
        AsyncConversationRepository,
        AsyncTicketRepository,
    )

__all__ = [
    "Agent",
    "AgentRepository",
    "AsyncAgentRepository",
    "AsyncCompanyRepository",
    "AsyncConversationRepository",
    "AsyncTicketRepository",
    "AuthorType",
    "Company",
    "CompanyRepository",
    "Conversation",
    "ConversationRepository",
    "HelpdeskBase",
    "Ticket",
    "TicketPriority",
    "TicketRepository",
    "TicketStatus",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tenantry.packs.helpdesk' has no attribute {name!r}")
    # Needs greenlet, which not every installation has.
    from tenantry.packs.helpdesk import aio  # noqa: PLC0415

    return getattr(aio, name)
