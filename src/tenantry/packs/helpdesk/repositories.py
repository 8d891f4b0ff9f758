"""The repositories of the desk itself over a tenant's session; ``aio`` has their awaited faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import class_mapper

from tenantry.errors import UnknownField
from tenantry.packs.helpdesk.models import (
    Agent,
    Attachment,
    Company,
    Contact,
    Conversation,
    Group,
    Tag,
    Ticket,
    TicketField,
)
from tenantry.repository import Repository, building
from tenantry.search import by_words

M = TypeVar("M")

_PROTECTED: Final = frozenset({"tenant_id", "company_id", "id", "created_at", "updated_at", "deleted_at", "deleted_by"})


def of_agent(agent_id: str) -> ColumnElement[bool]:
    """Returns the condition that a ticket is in the hands of the agent whom the platform calls so."""
    return Ticket.agent.has(Agent.agent_id == agent_id)


def made_or_found(repository: Repository[M], values: Mapping[str, Any], find: Callable[[], M | None]) -> tuple[M, bool]:
    """Returns the row that *find* finds or a new one, and whether it is new; of two callers at once both get it.

    Raises: as ``Repository.create``.
    """
    present = find()
    if present is not None:
        return present, False
    try:
        with repository.session.begin_nested():
            return repository.create(values), True
    except IntegrityError:
        # Another was faster, or the values are at fault.
        present = find()
        if present is None:
            raise
        return present, False


class CompanyRepository(Repository[Company]):
    """The tenant's own company."""

    def get_own(self) -> Company | None:
        """Returns the company of this tenant, or None while it has none."""
        return self.find()


class AgentRepository(Repository[Agent]):
    """The company's agents."""

    def get_by_agent_id(self, agent_id: str) -> Agent | None:
        """Returns the agent whom the platform calls so, or None."""
        return self.find(agent_id=agent_id)

    def get_active(self) -> list[Agent]:
        """Returns the agents who work, by name."""
        return self.list(is_active=True, order_by="name")


class GroupRepository(Repository[Group]):
    """Groups of the company's agents."""

    def get_by_group_id(self, group_id: str) -> Group | None:
        """Returns the group that the platform calls so, or None."""
        return self.find(group_id=group_id)


class ContactRepository(Repository[Contact]):
    """The people who ask."""

    def get_by_email(self, email: str) -> Contact | None:
        """Returns the first contact with this address, or None."""
        return self.find(email=email)

    def search_contacts(self, query: str, limit: int = 50) -> list[Contact]:
        """Returns contacts whose name, address or organisation holds *query*, whatever its case.

        Raises: InvalidPage for a limit below 0.
        """
        return self.query().search(query, ["name", "email", "organization"]).order_by("name").limit(limit).all()


class TicketRepository(Repository[Ticket]):
    """The company's tickets; lists come with the latest first."""

    def get_by_ticket_id(self, ticket_id: str) -> Ticket:
        """Returns the ticket that the platform calls so.

        Raises: RecordNotFound.
        """
        return self.one(ticket_id=ticket_id)

    def get_recent_tickets(self, limit: int = 10) -> list[Ticket]:
        """Returns the latest tickets.

        Raises: InvalidPage for a limit below 0.
        """
        return self.list(order_by="-created_at", limit=limit)

    def get_by_priority(self, priority: str) -> list[Ticket]:
        """Returns the tickets of one priority."""
        return self.list(priority=priority, order_by="-created_at")

    def get_by_status(self, status: str) -> list[Ticket]:
        """Returns the tickets in one state."""
        return self.list(status=status, order_by="-created_at")

    def get_by_agent(self, agent_id: str) -> list[Ticket]:
        """Returns the tickets of the agent whom the platform calls so."""
        return self.list(of_agent(agent_id), order_by="-created_at")

    def get_by_tag(self, name: str) -> list[Ticket]:
        """Returns the tickets that have a tag."""
        return self.list(Ticket.tags.any(Tag.name == name), order_by="-created_at")

    def search_tickets(self, query: str, filters: Mapping[str, Any] | None = None, *, limit: int = 50) -> list[Ticket]:
        """Returns tickets whose subject or description holds *query*, whatever its case.

        Where the tenancy has a ``Search`` of tickets they are those with the words of *query*, the best first.

        Args:
            filters: by field, a value that it equals or a list of values, one of which it equals.

        Raises: UnknownField, InvalidFilter, InvalidPage, SearchTextRefused.
        """
        narrowed = building.filters(Ticket, filters or {})
        by_rank = by_words(self.session, Ticket, query, limit=limit, where=narrowed)
        found = self.query().search(query, ["subject", "description"]).where(*narrowed)
        return found.order_by("-created_at").limit(limit).all() if by_rank is None else by_rank

    def create_ticket(self, ticket_data: Mapping[str, Any]) -> Ticket:
        """Returns a new ticket; company, platform, number, status and priority are filled in where they are missing.

        The data may come from outside: whose the ticket is, its key and its times are not theirs to say.

        Raises: UnknownField.
        """
        if taken := sorted(_PROTECTED.intersection(ticket_data)):
            settable = ", ".join(key for key in dict(class_mapper(Ticket).column_attrs) if key not in _PROTECTED)
            raise UnknownField(model="Ticket", name=taken[0], use="given by its data", known=settable)
        return self.create(ticket_data)


class ConversationRepository(Repository[Conversation]):
    """What was said about the company's tickets, each found by the platform's name for the ticket."""

    def get_by_ticket(self, ticket_id: str) -> list[Conversation]:
        """Returns all that was said about a ticket, in the order it was said."""
        return self.list(ticket_id=ticket_id, order_by="created_at")

    def get_latest_conversation(self, ticket_id: str) -> Conversation | None:
        """Returns what was said last about a ticket, or None."""
        return self.query().filter_by(ticket_id=ticket_id).order_by("-created_at").first()

    def search_conversations(self, query: str, limit: int = 50) -> list[Conversation]:
        """Returns what holds *query*, whatever its case, the latest first.

        Raises: InvalidPage for a limit below 0.
        """
        return self.query().search(query, "content").order_by("-created_at").limit(limit).all()


class AttachmentRepository(Repository[Attachment]):
    """The files that came with tickets and conversations."""

    def get_by_ticket(self, ticket_id: str) -> list[Attachment]:
        """Returns the files of the ticket that the platform calls so, and of what was said about it."""
        on_ticket = Attachment.ticket.has(Ticket.ticket_id == ticket_id)
        on_conversation = Attachment.conversation.has(Conversation.ticket_id == ticket_id)
        return self.list(on_ticket | on_conversation, order_by="created_at")


class TagRepository(Repository[Tag]):
    """The words that tickets are found by."""

    def named(self, name: str) -> Tag:
        """Returns the tag of this name, made where there is none."""
        return made_or_found(self, {"name": name}, lambda: self.find(name=name))[0]


class TicketFieldRepository(Repository[TicketField]):
    """The fields that a company's tickets have beside their own."""

    def get_in_order(self) -> list[TicketField]:
        """Returns the fields as they stand in a form."""
        return self.list(order_by=["position", "name"])
