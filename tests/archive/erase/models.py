"""What tenants keep of people: customers by two names, what they wrote, what hangs on that, and what mentions them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.audit import Audit
from tenantry.idempotency import Idempotency
from tenantry.limits import KillSwitches
from tenantry.models import AppendOnly, JSONDocument, SoftDelete, TenantOwned, TenantRecord
from tenantry.outbox import Outbox
from tenantry.usage import Usage


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Customer(TenantOwned, Base, subject=("email", "phone")):
    __tablename__ = "customers"
    kind: Mapped[str] = mapped_column(default="customer")
    email: Mapped[str]
    phone: Mapped[str | None]
    photo: Mapped[bytes | None] = mapped_column(LargeBinary)
    facts: Mapped[Any | None] = mapped_column(JSONDocument)
    password_hash: Mapped[str | None]
    __mapper_args__: ClassVar[Any] = {"polymorphic_on": "kind", "polymorphic_identity": "customer"}


class Agent(Customer):
    __tablename__ = "agents"
    signature: Mapped[str | None]
    __mapper_args__: ClassVar[Any] = {"polymorphic_identity": "agent"}


class Ticket(TenantOwned, Base, subject="requester_email"):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    requester_email: Mapped[str]
    assignee_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("customers.id", ondelete="SET NULL"))


class Message(TenantOwned, Base):
    __tablename__ = "messages"
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    text: Mapped[str]


class Visit(AppendOnly, TenantOwned, Base, subject="visitor"):
    __tablename__ = "visits"
    visitor: Mapped[str]
    page: Mapped[str]


class Draft(SoftDelete, TenantOwned, Base, subject="author"):
    __tablename__ = "drafts"
    author: Mapped[str]
    text: Mapped[str]


class Page(TenantOwned, Base):
    __tablename__ = "pages"
    text: Mapped[str]
    facts: Mapped[Any | None] = mapped_column(JSONDocument)


@dataclass(frozen=True)
class Behaviours:
    """What the library adds to a tenancy of these tests."""

    audit: Audit
    outbox: Outbox
    idempotency: Idempotency
    usage: Usage
    switches: KillSwitches


def behaviours_of(tenancy: Tenancy) -> Behaviours:
    audit = Audit(tenancy, keys={"2026": b"k" * 32})
    audit.capture(Ticket)
    return Behaviours(
        audit,
        Outbox(tenancy),
        Idempotency(tenancy),
        Usage(tenancy, unpriced=True, append_only=True),
        KillSwitches(tenancy),
    )
