"""What tenants have that are backed up and restored: a record, references to itself, numbers, documents, kept rows."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.audit import Audit
from tenantry.models import AppendOnly, JSONDocument, Shared, TenantOwned, TenantRecord, UTCDateTime


class Base(DeclarativeBase):
    pass


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Team(TenantOwned, Base):
    __tablename__ = "teams"
    name: Mapped[str]
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("teams.id"))


class Ticket(TenantOwned, Base, subject="requester"):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"))
    subject: Mapped[str]
    requester: Mapped[str | None]
    country: Mapped[str | None] = mapped_column(ForeignKey("tenantry_shared.countries.code"))
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))
    weight: Mapped[float | None]
    due: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    facts: Mapped[Any | None] = mapped_column(JSONDocument)


class Event(AppendOnly, TenantOwned, Base):
    __tablename__ = "events"
    what: Mapped[str]


MODELS = (Company, Team, Ticket, Event)


def audited(tenancy: Tenancy, **options: Any) -> Audit:
    """Returns the audit that every tenancy of these tests has."""
    return Audit(tenancy, keys={"2026": b"k" * 32}, **options)
