"""The models of the trials: a tenant's record, its tickets, and a table that every tenant reads."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import Shared, TenantOwned, TenantRecord


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(primary_key=True)


class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    n: Mapped[int] = mapped_column(default=0)
