"""The same application twice: as its first revision leaves it, and as its last does."""

from __future__ import annotations

import uuid

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import Platform, Shared, TenantOwned, TenantRecord


class Old(DeclarativeBase):
    """At revision a1."""


class OldCompany(TenantRecord, Old):
    __tablename__ = "companies"
    name: Mapped[str]


class OldTicket(TenantOwned, Old):
    __tablename__ = "tickets"
    subject: Mapped[str] = mapped_column(String(200))
    number: Mapped[int]


class OldCountry(Shared, Old):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)


class OldPlan(Platform, Old):
    __tablename__ = "plans"
    name: Mapped[str] = mapped_column(String(50), primary_key=True)


class New(DeclarativeBase):
    """At the head of ``migrations``."""


class Company(TenantRecord, New):
    __tablename__ = "companies"
    name: Mapped[str]


class Ticket(TenantOwned, New):
    __tablename__ = "tickets"
    __table_args__ = (Index("ix_tickets_subject", "subject"),)
    subject: Mapped[str] = mapped_column(String(200))
    number: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(20), server_default="open")


class Note(TenantOwned, New):
    __tablename__ = "notes"
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    body: Mapped[str] = mapped_column(Text)


class Country(Shared, New):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(100))


class Plan(Platform, New):
    __tablename__ = "plans"
    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    price: Mapped[int] = mapped_column(server_default="0")
