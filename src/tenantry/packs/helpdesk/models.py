"""The desk itself: companies, their agents, groups and contacts, tickets and what is said about them."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, Synonym, mapped_column, relationship, synonym

from tenantry.models import (
    JSONDocument,
    SoftDelete,
    TenantOwned,
    TenantRecord,
    Timestamps,
    UTCDateTime,
    references,
    tenant_table,
)
from tenantry.models.soft_delete import INCLUDE_DELETED
from tenantry.packs.helpdesk.base import HelpdeskBase, OfCompany, OnPlatform
from tenantry.packs.helpdesk.words import (
    AuthorType,
    TicketPriority,
    TicketStatus,
    at_least_nought,
    external_id,
    one_of,
)

if TYPE_CHECKING:
    from tenantry.packs.helpdesk.models_knowledge import Article, Category, Folder
    from tenantry.packs.helpdesk.models_running import BackupRecord, SchemaVersion, SyncJob, TenantSetting


def _of_company() -> Any:
    return relationship(back_populates="company", cascade="all, delete-orphan", passive_deletes=True)


class Company(OnPlatform, TenantRecord, Timestamps, HelpdeskBase):
    """The tenant itself: a customer of the helpdesk on one platform."""

    __tablename__ = "companies"
    __table_args__ = (UniqueConstraint("name", "platform"),)

    name: Mapped[str] = mapped_column(String(255))
    subscription_plan: Mapped[str] = mapped_column(String(50), default="free")
    domain: Mapped[str | None] = mapped_column(String(255))
    settings: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)

    agents: Mapped[list[Agent]] = _of_company()
    groups: Mapped[list[Group]] = _of_company()
    contacts: Mapped[list[Contact]] = _of_company()
    tickets: Mapped[list[Ticket]] = _of_company()
    conversations: Mapped[list[Conversation]] = _of_company()
    attachments: Mapped[list[Attachment]] = _of_company()
    tags: Mapped[list[Tag]] = _of_company()
    ticket_fields: Mapped[list[TicketField]] = _of_company()
    categories: Mapped[list[Category]] = _of_company()
    folders: Mapped[list[Folder]] = _of_company()
    articles: Mapped[list[Article]] = _of_company()
    sync_jobs: Mapped[list[SyncJob]] = _of_company()
    tenant_settings: Mapped[list[TenantSetting]] = _of_company()
    schema_versions: Mapped[list[SchemaVersion]] = _of_company()
    backup_records: Mapped[list[BackupRecord]] = _of_company()


agent_groups: Table = tenant_table(
    "agent_groups",
    HelpdeskBase.metadata,
    references("agents.id", ondelete="CASCADE"),
    references("groups.id", ondelete="CASCADE"),
)


class Group(OfCompany, HelpdeskBase):
    """Agents who take the same tickets; ``group_id`` is the platform's name for them."""

    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("platform", "group_id"),)

    group_id: Mapped[str] = mapped_column(String(100), default=external_id)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)

    agents: Mapped[list[Agent]] = relationship(secondary=agent_groups, back_populates="groups")
    tickets: Mapped[list[Ticket]] = relationship(back_populates="group", passive_deletes=True)


class Agent(OfCompany, HelpdeskBase, subject="email"):
    """Somebody who works on tickets; ``agent_id`` is the platform's name for them."""

    __tablename__ = "agents"
    __table_args__ = (UniqueConstraint("platform", "agent_id"), Index(None, "email"), Index(None, "group_id"))

    agent_id: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320))
    role: Mapped[str] = mapped_column(String(30), default="agent")
    group_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("groups.id", ondelete="SET NULL"))
    is_active: Mapped[bool] = mapped_column(default=True)

    # The group whose tickets come to the agent first, and all of the agent's groups.
    group: Mapped[Group | None] = relationship(foreign_keys=[group_id])
    groups: Mapped[list[Group]] = relationship(secondary=agent_groups, back_populates="agents")
    tickets: Mapped[list[Ticket]] = relationship(back_populates="agent", passive_deletes=True)


class Contact(OfCompany, HelpdeskBase, subject="email"):
    """Somebody who asks; ``contact_id`` is the platform's name for them."""

    __tablename__ = "contacts"
    __table_args__ = (UniqueConstraint("platform", "contact_id"), Index(None, "email"))

    contact_id: Mapped[str] = mapped_column(String(100), default=external_id)
    name: Mapped[str | None] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(320))
    phone: Mapped[str | None] = mapped_column(String(50))
    organization: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)

    tickets: Mapped[list[Ticket]] = relationship(back_populates="requester", passive_deletes=True)


class Ticket(SoftDelete, OfCompany, HelpdeskBase, subject="requester_email"):
    """What a customer asked for; ``ticket_id`` is the platform's name for it, made up where there is none."""

    __tablename__ = "tickets"
    __table_args__ = (
        # A platform gives a number once, also when the ticket is hidden; conversations refer to it.
        UniqueConstraint("platform", "ticket_id", info={INCLUDE_DELETED: True}),
        one_of(TicketStatus, table="tickets", column="status"),
        one_of(TicketPriority, table="tickets", column="priority"),
        Index(None, "status"),
        Index(None, "priority"),
        Index(None, "requester_email"),
        Index(None, "created_at"),
        Index(None, "agent_id"),
        Index(None, "requester_id"),
        Index(None, "group_id"),
    )

    ticket_id: Mapped[str] = mapped_column(String(100), default=external_id)
    subject: Mapped[str] = mapped_column(String(500))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(30), default=TicketStatus.OPEN)
    priority: Mapped[str] = mapped_column(String(20), default=TicketPriority.MEDIUM)
    requester_email: Mapped[str | None] = mapped_column(String(320))
    agent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
    requester_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("contacts.id", ondelete="SET NULL"))
    group_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("groups.id", ondelete="SET NULL"))
    type: Mapped[str | None] = mapped_column(String(50))
    source: Mapped[str | None] = mapped_column(String(30))
    due_by: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    first_responded_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    resolved_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    custom_fields: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)

    # The agent's row; agents.agent_id is the platform's name for it.
    agent_pk: Synonym[uuid.UUID | None] = synonym("agent_id")
    agent: Mapped[Agent | None] = relationship(back_populates="tickets")
    requester: Mapped[Contact | None] = relationship(back_populates="tickets")
    group: Mapped[Group | None] = relationship(back_populates="tickets")
    conversations: Mapped[list[Conversation]] = relationship(
        back_populates="ticket", cascade="all, delete-orphan", passive_deletes=True
    )
    attachments: Mapped[list[Attachment]] = relationship(back_populates="ticket", passive_deletes=True)
    tags: Mapped[list[Tag]] = relationship(secondary="ticket_tags", back_populates="tickets")


class Conversation(SoftDelete, OfCompany, HelpdeskBase, subject="author_id"):
    """One thing said about a ticket, which it finds by the platform's name: ``ticket_id`` is ``Ticket.ticket_id``."""

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("platform", "conversation_id", info={INCLUDE_DELETED: True}),
        ForeignKeyConstraint(["platform", "ticket_id"], ["tickets.platform", "tickets.ticket_id"], ondelete="CASCADE"),
        one_of(AuthorType, table="conversations", column="author_type"),
        Index(None, "platform", "ticket_id", "created_at"),
        Index(None, "ticket_id", "created_at"),
    )

    conversation_id: Mapped[str] = mapped_column(String(100), default=external_id)
    ticket_id: Mapped[str] = mapped_column(String(100))
    content: Mapped[str] = mapped_column(Text)
    author_type: Mapped[str] = mapped_column(String(20), default=AuthorType.AGENT)
    author_id: Mapped[str | None] = mapped_column(String(100))
    body_html: Mapped[str | None] = mapped_column(Text)
    is_private: Mapped[bool] = mapped_column(default=False)
    attachments: Mapped[list[Any]] = mapped_column(JSONDocument, default=list)

    ticket: Mapped[Ticket] = relationship(back_populates="conversations")
    files: Mapped[list[Attachment]] = relationship(back_populates="conversation", passive_deletes=True)

    @property
    def ticket_pk(self) -> uuid.UUID | None:
        """The id of the ticket's row."""
        return None if self.ticket is None else self.ticket.id


class Attachment(OfCompany, HelpdeskBase):
    """A file that came with a ticket or a conversation; ``storage_key`` says where its bytes are."""

    __tablename__ = "attachments"
    __table_args__ = (
        UniqueConstraint("platform", "attachment_id"),
        at_least_nought("size", table="attachments"),
        Index(None, "ticket_pk"),
        Index(None, "conversation_pk"),
    )

    attachment_id: Mapped[str] = mapped_column(String(100), default=external_id)
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str | None] = mapped_column(String(127))
    size: Mapped[int | None] = mapped_column(BigInteger)
    storage_key: Mapped[str] = mapped_column(String(1024))
    sha256: Mapped[str | None] = mapped_column(String(64))
    ticket_pk: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    conversation_pk: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))

    ticket: Mapped[Ticket | None] = relationship(back_populates="attachments")
    conversation: Mapped[Conversation | None] = relationship(back_populates="files")


class Tag(OfCompany, HelpdeskBase):
    """A word that tickets are found by."""

    __tablename__ = "tags"
    __table_args__ = (UniqueConstraint("name"),)

    name: Mapped[str] = mapped_column(String(100))

    tickets: Mapped[list[Ticket]] = relationship(secondary="ticket_tags", back_populates="tags")


class TicketTag(TenantOwned, HelpdeskBase):
    """That a ticket has a tag."""

    __tablename__ = "ticket_tags"
    __table_args__ = (Index(None, "tag_id"),)

    ticket_pk: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True)


class TicketField(OfCompany, HelpdeskBase):
    """A field that a company's tickets have beside their own; its values are in ``Ticket.custom_fields``."""

    __tablename__ = "ticket_fields"
    __table_args__ = (UniqueConstraint("platform", "name"),)

    name: Mapped[str] = mapped_column(String(100))
    label: Mapped[str | None] = mapped_column(String(255))
    field_type: Mapped[str] = mapped_column(String(30))
    choices: Mapped[list[Any]] = mapped_column(JSONDocument, default=list)
    required: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)
