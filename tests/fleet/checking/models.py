"""The models of the checking tests: a table of each kind, with one of each thing that a schema can hold."""

from __future__ import annotations

import decimal
import uuid

from sqlalchemy import DDL, CheckConstraint, ForeignKey, Index, Numeric, String, Text, UniqueConstraint, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import Platform, Shared, TenantOwned, TenantRecord, references, tenant_table


class Base(DeclarativeBase):
    pass


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)


class Vendor(Platform, Base):
    __tablename__ = "vendors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str] = mapped_column(String(80))


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("number"),
        CheckConstraint("number > 0", name="number_counts"),
        Index("ix_tickets_open", "company_id", postgresql_where="priority <> 'done'"),
    )
    number: Mapped[int]
    subject: Mapped[str] = mapped_column(String(80), index=True)
    priority: Mapped[str] = mapped_column(Text, server_default="low")
    company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    country: Mapped[str | None] = mapped_column(ForeignKey("countries.code"))


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    ticket_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tickets.id", ondelete="SET NULL"))
    hours: Mapped[decimal.Decimal] = mapped_column(Numeric(6, 2), default=0)
    body: Mapped[str]


class Tag(TenantOwned, Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(40), unique=True)


tenant_table("ticket_tags", Base.metadata, references("tickets.id"), references("tags.id"))

# A trigger that needs no function of the application's own.
_QUIET = DDL(
    "CREATE TRIGGER quiet BEFORE UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
)
event.listen(Ticket.__table__, "after_create", _QUIET.execute_if(dialect="postgresql"))
