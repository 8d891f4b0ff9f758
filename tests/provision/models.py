"""The models of these tests: a tenant's record, its tickets and their notes, the platform's plans, shared countries."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import Platform, Shared, TenantOwned, TenantRecord


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str] = mapped_column(index=True)


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    text: Mapped[str]
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id"))


class Plan(Platform, Base):
    __tablename__ = "plans"
    name: Mapped[str] = mapped_column(primary_key=True)


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(primary_key=True)


class NewBase(DeclarativeBase):
    """The same application one release later."""


class NewCompany(TenantRecord, NewBase):
    __tablename__ = "companies"
    name: Mapped[str]
    city: Mapped[str | None]
