"""Tables of every ownership, made anew for each test so that a test may change them."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from tenantry.models import JSONDocument, Platform, Shared, TenantOwned, TenantRecord, Timestamps


class Colour(TypeDecorator[str]):
    """A type of the application's own."""

    impl = String(7)
    cache_ok = True


def declare() -> SimpleNamespace:
    """Returns ``Base`` and its classes."""

    class Base(DeclarativeBase):
        pass

    class Country(Shared, Base):
        __tablename__ = "countries"
        code: Mapped[str] = mapped_column(String(2), primary_key=True)

    class Vendor(Platform, Base):
        __tablename__ = "vendors"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50), unique=True)

    class Company(TenantRecord, Base):
        __tablename__ = "companies"
        name: Mapped[str] = mapped_column(String(50))
        country: Mapped[str | None] = mapped_column(ForeignKey("countries.code"))

    class Agent(TenantOwned, Base):
        __tablename__ = "agents"
        email: Mapped[str] = mapped_column(String(100), unique=True)
        colour: Mapped[str | None] = mapped_column(Colour)

    class Ticket(TenantOwned, Timestamps, Base):
        __tablename__ = "tickets"
        __table_args__ = (Index(None, "subject"),)
        subject: Mapped[str] = mapped_column(String(50))
        rank: Mapped[int | None]
        details: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
        company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
        agent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))

    class Invoice(TenantOwned, Base):
        __tablename__ = "invoices"
        id: Mapped[int] = mapped_column(primary_key=True)
        total: Mapped[int]

    return SimpleNamespace(**locals())
