"""The models whose tables the Sqitch projects of these tests make."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import Platform, TenantOwned, TenantRecord


class Base(DeclarativeBase):
    pass


class Vendor(Platform, Base):
    __tablename__ = "vendors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    subject: Mapped[str]


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id"))
    text: Mapped[str]
