"""The awaited faces of the helpdesk's repositories: each method runs its synchronous twin inside ``run_sync``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenantry.packs.helpdesk import repositories
from tenantry.packs.helpdesk.models import Agent, Company, Conversation, Ticket
from tenantry.repository import AsyncRepository


class AsyncCompanyRepository(AsyncRepository[Company]):
    """The tenant's own company."""

    async def get_own(self) -> Company | None:
        """Returns the company of this tenant, or None while it has none."""
        return await self.find()


class AsyncAgentRepository(AsyncRepository[Agent]):
    """The company's agents."""

    async def get_by_agent_id(self, agent_id: str) -> Agent | None:
        """Returns the agent whom the platform calls so, or None."""
        return await self.find(agent_id=agent_id)


class AsyncTicketRepository(AsyncRepository[Ticket]):
    """The company's tickets; lists come with the latest first."""

    async def get_recent_tickets(self, limit: int = 10) -> list[Ticket]:
        """Returns the latest tickets.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.session.run_sync(lambda db: repositories.TicketRepository(db).get_recent_tickets(limit))

    async def get_by_priority(self, priority: str) -> list[Ticket]:
        """Returns the tickets of one priority."""
        return await self.session.run_sync(lambda db: repositories.TicketRepository(db).get_by_priority(priority))

    async def get_by_agent(self, agent_id: str) -> list[Ticket]:
        """Returns the tickets of the agent whom the platform calls so."""
        return await self.session.run_sync(lambda db: repositories.TicketRepository(db).get_by_agent(agent_id))

    async def search_tickets(
        self, query: str, filters: Mapping[str, Any] | None = None, *, limit: int = 50
    ) -> list[Ticket]:
        """Returns tickets whose subject or description holds *query*, whatever its case.

        Args:
            filters: by field, a value that it equals or a list of values, one of which it equals.

        Raises: UnknownField, InvalidFilter, InvalidPage.
        """
        return await self.session.run_sync(
            lambda db: repositories.TicketRepository(db).search_tickets(query, filters, limit=limit)
        )

    async def create_ticket(self, ticket_data: Mapping[str, Any]) -> Ticket:
        """Returns a new ticket; company, platform, number, status and priority are filled in where they are missing.

        Raises: UnknownField, CrossTenant.
        """
        return await self.create(ticket_data)


class AsyncConversationRepository(AsyncRepository[Conversation]):
    """What was said about the company's tickets, each found by the platform's name for the ticket."""

    async def get_by_ticket(self, ticket_id: str) -> list[Conversation]:
        """Returns all that was said about a ticket, in the order it was said."""
        return await self.session.run_sync(lambda db: repositories.ConversationRepository(db).get_by_ticket(ticket_id))

    async def get_latest_conversation(self, ticket_id: str) -> Conversation | None:
        """Returns what was said last about a ticket, or None."""
        return await self.session.run_sync(
            lambda db: repositories.ConversationRepository(db).get_latest_conversation(ticket_id)
        )

    async def search_conversations(self, query: str, limit: int = 50) -> list[Conversation]:
        """Returns what holds *query*, whatever its case, the latest first.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.session.run_sync(
            lambda db: repositories.ConversationRepository(db).search_conversations(query, limit)
        )
