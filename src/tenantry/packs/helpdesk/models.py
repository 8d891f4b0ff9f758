"""The helpdesk's tables, first slice: companies, their agents, tickets, and what is said about them."""

from __future__ import annotations

import datetime
import enum
import uuid
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tenantry.ids import uuid7
from tenantry.models import JSONDocument, TenantRecord, Timestamps, UTCDateTime
from tenantry.packs.helpdesk.base import HelpdeskBase, OfCompany


class TicketStatus(enum.StrEnum):
    """How far a ticket has come."""

    OPEN = "open"
    PENDING = "pending"
    RESOLVED = "resolved"
    CLOSED = "closed"


class TicketPriority(enum.StrEnum):
    """How much a ticket presses."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class AuthorType(enum.StrEnum):
    """Who wrote a conversation."""

    AGENT = "agent"
    REQUESTER = "requester"
    SYSTEM = "system"


def one_of(words: type[enum.StrEnum], *, table: str, column: str) -> CheckConstraint:
    """Returns the constraint that a column holds one of *words*."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


def external_id() -> str:
    """Returns an outside name for a row that came without one."""
    return uuid7().hex


class Company(TenantRecord, Timestamps, HelpdeskBase):
    """The tenant itself: a customer of the helpdesk on one platform."""

    __tablename__ = "companies"
    __table_args__ = (UniqueConstraint("name", "platform"),)

    name: Mapped[str] = mapped_column(String(255))
    platform: Mapped[str] = mapped_column(String(50))
    subscription_plan: Mapped[str] = mapped_column(String(50), default="free")
    domain: Mapped[str | None] = mapped_column(String(255))
    settings: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)

    agents: Mapped[list[Agent]] = relationship(
        back_populates="company", cascade="all, delete-orphan", passive_deletes=True
    )
    tickets: Mapped[list[Ticket]] = relationship(
        back_populates="company", cascade="all, delete-orphan", passive_deletes=True
    )
    conversations: Mapped[list[Conversation]] = relationship(
        back_populates="company", cascade="all, delete-orphan", passive_deletes=True
    )


class Agent(OfCompany, HelpdeskBase):
    """Somebody who works on tickets; ``agent_id`` is the platform's name for them."""

    __tablename__ = "agents"
    __table_args__ = (UniqueConstraint("platform", "agent_id"), Index(None, "email"))

    agent_id: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320))
    role: Mapped[str] = mapped_column(String(50), default="agent")
    is_active: Mapped[bool] = mapped_column(default=True)

    tickets: Mapped[list[Ticket]] = relationship(back_populates="agent", passive_deletes=True)


class Ticket(OfCompany, HelpdeskBase):
    """What a customer asked for; ``ticket_id`` is the platform's name for it, made up where there is none."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("platform", "ticket_id"),
        one_of(TicketStatus, table="tickets", column="status"),
        one_of(TicketPriority, table="tickets", column="priority"),
        Index(None, "status"),
        Index(None, "priority"),
        Index(None, "requester_email"),
        Index(None, "created_at"),
        Index(None, "agent_id"),
    )

    ticket_id: Mapped[str] = mapped_column(String(100), default=external_id)
    subject: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(30), default=TicketStatus.OPEN)
    priority: Mapped[str] = mapped_column(String(20), default=TicketPriority.MEDIUM)
    requester_email: Mapped[str | None] = mapped_column(String(320))
    agent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
    type: Mapped[str | None] = mapped_column(String(50))
    source: Mapped[str | None] = mapped_column(String(50))
    due_by: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    first_responded_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    resolved_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    custom_fields: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)

    agent: Mapped[Agent | None] = relationship(back_populates="tickets")
    conversations: Mapped[list[Conversation]] = relationship(
        back_populates="ticket", cascade="all, delete-orphan", passive_deletes=True
    )


class Conversation(OfCompany, HelpdeskBase):
    """One thing said about a ticket, which it finds by the platform's name: ``ticket_id`` is ``Ticket.ticket_id``."""

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("platform", "conversation_id"),
        ForeignKeyConstraint(["platform", "ticket_id"], ["tickets.platform", "tickets.ticket_id"], ondelete="CASCADE"),
        one_of(AuthorType, table="conversations", column="author_type"),
        Index(None, "platform", "ticket_id", "created_at"),
    )

    conversation_id: Mapped[str] = mapped_column(String(100), default=external_id)
    ticket_id: Mapped[str] = mapped_column(String(100))
    content: Mapped[str] = mapped_column(Text)
    author_type: Mapped[str] = mapped_column(String(20), default=AuthorType.SYSTEM)
    author_id: Mapped[str | None] = mapped_column(String(100))
    body_html: Mapped[str | None] = mapped_column(Text)
    is_private: Mapped[bool] = mapped_column(default=False)
    attachments: Mapped[list[Any]] = mapped_column(JSONDocument, default=list)

    ticket: Mapped[Ticket] = relationship(back_populates="conversations")
