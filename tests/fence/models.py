"""Rows of every sort of key: given by the program, numbered by the database, and spelled by people."""

from __future__ import annotations

import datetime
import uuid

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import AppendOnly, TenantOwned


class Base(DeclarativeBase):
    pass


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str] = mapped_column(String(80))


class Reply(TenantOwned, Base):
    __tablename__ = "replies"
    ticket_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))


class Visit(TenantOwned, Base):
    __tablename__ = "visits"
    id: Mapped[int] = mapped_column(primary_key=True)
    page: Mapped[str] = mapped_column(String(80))


class Tag(TenantOwned, Base):
    __tablename__ = "tags"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)


class Holiday(TenantOwned, Base):
    __tablename__ = "holidays"
    id: Mapped[datetime.date] = mapped_column(primary_key=True)


class Entry(AppendOnly, TenantOwned, Base):
    __tablename__ = "entries"
    said: Mapped[str] = mapped_column(String(80))
