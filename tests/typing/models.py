"""What a type checker sees of the models: checked by mypy and pyright, never run."""

from __future__ import annotations

import datetime
import uuid
from typing import Any, assert_type

from sqlalchemy import MetaData, Table, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from tenantry.models import (
    JSONDocument,
    Ownership,
    Shared,
    TenantOwned,
    TenantRecord,
    Timestamps,
    lint,
    owned_tables,
    ownership,
    references,
    stamp,
    tenant_table,
)
from tenantry.types import Finding


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]
    tickets: Mapped[list[Ticket]] = relationship(back_populates="company")


class Ticket(Timestamps, TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    company_id: Mapped[uuid.UUID | None] = references("companies.id", ondelete="SET NULL")
    company: Mapped[Company | None] = relationship(back_populates="tickets")
    details: Mapped[dict[str, Any]] = mapped_column(JSONDocument)


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(primary_key=True)


links = tenant_table("links", Base.metadata, references("tickets.id"), references("companies.id"))


def check(session: Session, metadata: MetaData) -> None:
    ticket = Ticket(subject="x")
    assert_type(ticket.id, uuid.UUID)
    assert_type(ticket.tenant_id, uuid.UUID)
    assert_type(ticket.company_id, uuid.UUID | None)
    assert_type(ticket.company, Company | None)
    assert_type(ticket.created_at, datetime.datetime)
    assert_type(Company(name="x").tickets, list[Ticket])
    assert_type(ticket.to_dict(), dict[str, Any])
    assert_type(Country(code="NO").to_dict(exclude={"code"}), dict[str, Any])
    assert_type(session.scalars(select(Ticket.tenant_id).where(Ticket.id == ticket.id)).one(), uuid.UUID)
    assert_type(stamp(ticket, ticket.tenant_id), bool)
    assert_type(links, Table)
    assert_type(ownership(links), Ownership | None)
    assert_type(owned_tables(metadata, Ownership.TENANT), list[Table])
    assert_type(lint(metadata), list[Finding])
