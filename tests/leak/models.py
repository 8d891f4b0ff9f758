"""The leak suite's own models, declared once for the walled cells and once, plain, for the unguarded control."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Integer, Table, UniqueConstraint, Uuid, func, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship


class PlainRecord:
    """A tenant's own row as an application without walls declares it: the id alone is the key."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)

    @property
    def tenant_id(self) -> uuid.UUID:
        return self.id


class PlainOwned:
    """A tenant's row as an application without walls declares it: a tenant column, the id alone is the key."""

    tenant_id: Mapped[uuid.UUID] = mapped_column(sort_order=-2)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4, sort_order=-1)


class PlainOther:
    """A table that belongs to no tenant."""


def declare(owned: type, record: type, *, shared: type, platform: type, product_key: str) -> SimpleNamespace:
    """Returns ``Base`` and the mapped classes, declared with the given mixins as an application would write them."""

    class Base(DeclarativeBase):
        type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy reads a plain dict here

    class Product(shared, Base):
        __tablename__ = "products"
        code: Mapped[str] = mapped_column(primary_key=True)
        title: Mapped[str]

    class Vendor(platform, Base):
        __tablename__ = "vendors"
        id: Mapped[int] = mapped_column(primary_key=True)
        secret: Mapped[str]

    class Company(record, Base):
        __tablename__ = "companies"
        name: Mapped[str]
        tickets: Mapped[list[Ticket]] = relationship(back_populates="company")

    class Agent(owned, Base):
        __tablename__ = "agents"
        email: Mapped[str] = mapped_column(unique=True)
        note: Mapped[str]
        settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
        manager_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agents.id"))
        manager: Mapped[Agent | None] = relationship(remote_side="Agent.id", back_populates="reports")
        reports: Mapped[list[Agent]] = relationship(back_populates="manager")
        tickets: Mapped[list[Ticket]] = relationship(back_populates="agent", passive_deletes=True)

    ticket_tags = Table(
        "ticket_tags",
        Base.metadata,
        Column("ticket_id", Uuid, ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True),
        Column("tag_id", Uuid, ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
    )

    class Tag(owned, Base):
        __tablename__ = "tags"
        __table_args__ = (UniqueConstraint("label"),)
        label: Mapped[str]
        note: Mapped[str]
        tickets: Mapped[list[Ticket]] = relationship(secondary=ticket_tags, back_populates="tags")

    class Ticket(owned, Base):
        __tablename__ = "tickets"
        subject: Mapped[str]
        number: Mapped[int]
        kind: Mapped[str] = mapped_column(default="ticket")
        details: Mapped[dict[str, Any]] = mapped_column(default=dict)
        company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id"))
        agent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
        parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tickets.id"))
        product_code: Mapped[str | None] = mapped_column(ForeignKey(product_key))
        company: Mapped[Company | None] = relationship(back_populates="tickets")
        agent: Mapped[Agent | None] = relationship(back_populates="tickets")
        parent: Mapped[Ticket | None] = relationship(remote_side="Ticket.id", back_populates="children")
        children: Mapped[list[Ticket]] = relationship(back_populates="parent")
        product: Mapped[Product | None] = relationship()
        comments: Mapped[list[Comment]] = relationship(
            back_populates="ticket", cascade="all, delete-orphan", passive_deletes=True
        )
        tags: Mapped[list[Tag]] = relationship(secondary=ticket_tags, back_populates="tickets")

        @hybrid_property
        def headline(self) -> str:
            return self.kind + ": " + self.subject

        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "ticket"}  # noqa: RUF012 - as above

    class BugTicket(Ticket):
        __tablename__ = "bug_tickets"
        id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
        severity: Mapped[int] = mapped_column(Integer)
        trace: Mapped[str]
        __mapper_args__ = {"polymorphic_identity": "bug"}  # noqa: RUF012 - as above

    class Comment(owned, Base):
        __tablename__ = "comments"
        ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
        body: Mapped[str]
        ticket: Mapped[Ticket] = relationship(back_populates="comments")

    class Invoice(owned, Base):
        __tablename__ = "invoices"
        id: Mapped[int] = mapped_column(primary_key=True)
        memo: Mapped[str]
        total: Mapped[int]

    Ticket.comment_count = column_property(
        select(func.count(Comment.id)).where(Comment.ticket_id == Ticket.id).correlate(Ticket).scalar_subquery(),
        deferred=True,
    )
    return SimpleNamespace(**locals())


def plain() -> SimpleNamespace:
    """Returns the models as an application without Tenantry has them: single keys, no wall."""
    return declare(PlainOwned, PlainRecord, shared=PlainOther, platform=PlainOther, product_key="products.code")
