"""The models and repositories whose types the other files here assert."""

from __future__ import annotations

import datetime
import uuid

from sqlalchemy.orm import DeclarativeBase, Mapped, relationship

from tenantry import Tenancy
from tenantry.models import Platform, Shared, TenantOwned, TenantRecord, Timestamps, references
from tenantry.repository import AsyncReadRepository, AsyncRepository, ReadRepository, Repository


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]


class Ticket(TenantOwned, Timestamps, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]
    priority: Mapped[int | None]
    company_id: Mapped[uuid.UUID | None] = references("companies.id")
    company: Mapped[Company | None] = relationship()


class Country(Shared, Base):
    __tablename__ = "countries"
    name: Mapped[str]


class Vendor(Platform, Base):
    __tablename__ = "vendors"
    since: Mapped[datetime.date]


class Tickets(Repository[Ticket]):
    pass


class Countries(ReadRepository[Country]):
    pass


class AsyncTickets(AsyncRepository[Ticket]):
    pass


class AsyncCountries(AsyncReadRepository[Country]):
    pass


def opened() -> Tenancy:
    return Tenancy("sqlite:///data", models=Base)
