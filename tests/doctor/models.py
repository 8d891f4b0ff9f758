"""The models of the doctor's tests: one table of each kind, linked to one another."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import AppendOnly, Platform, Shared, TenantOwned, TenantRecord


class Base(DeclarativeBase):
    pass


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(primary_key=True)


class Vendor(Platform, Base):
    __tablename__ = "vendors"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[str]


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    country: Mapped[str | None] = mapped_column(ForeignKey("countries.code"))


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    label: Mapped[str] = mapped_column(unique=True)


class Event(AppendOnly, TenantOwned, Base):
    __tablename__ = "events"
    kind: Mapped[str]
