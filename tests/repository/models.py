"""The models and repositories of these tests: ordinary fields, numbers, documents, secrets, inheritance, reference."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

from sqlalchemy import ForeignKey, Numeric, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, synonym

from tenantry.models import JSONDocument, Shared, SoftDelete, TenantOwned, TenantRecord, Timestamps, UTCDateTime
from tenantry.repository import AsyncReadRepository, AsyncRepository, ReadRepository, Repository


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"
    name: Mapped[str]
    tickets: Mapped[list[Ticket]] = relationship(back_populates="company")


class Ticket(TenantOwned, Timestamps, Base):
    __tablename__ = "tickets"
    __table_args__ = (UniqueConstraint("queue", "number"),)
    subject: Mapped[str]
    status: Mapped[str] = mapped_column(default="open")
    queue: Mapped[str] = mapped_column(String(20), default="desk")
    number: Mapped[int]
    priority: Mapped[int | None]
    due: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    cost: Mapped[decimal.Decimal | None] = mapped_column(Numeric(10, 2))
    meta: Mapped[dict[str, Any] | None] = mapped_column(JSONDocument)
    api_token: Mapped[str | None]
    company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id"))
    company: Mapped[Company | None] = relationship(back_populates="tickets")
    org_id: Mapped[uuid.UUID] = synonym("tenant_id")


class Meter(TenantOwned, Base):
    __tablename__ = "meters"
    id: Mapped[int] = mapped_column(primary_key=True)  # type: ignore[assignment]  # another key than the usual one
    name: Mapped[str] = mapped_column(unique=True)


class Asset(TenantOwned, Base):
    __tablename__ = "assets"
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(unique=True)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "asset"}  # noqa: RUF012 - read by SQLAlchemy


class Vehicle(Asset):
    __tablename__ = "vehicles"
    wheels: Mapped[int]
    __mapper_args__ = {"polymorphic_identity": "vehicle"}  # noqa: RUF012 - read by SQLAlchemy


class Label(SoftDelete, TenantOwned, Base):
    __tablename__ = "labels"
    name: Mapped[str] = mapped_column(unique=True)


class Country(Shared, Base):
    __tablename__ = "countries"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str]


class Companies(Repository[Company]):
    """Loads each company's tickets with it, by a join that repeats the company."""

    options = (joinedload(Company.tickets),)


class Tickets(Repository[Ticket]):
    def urgent(self) -> list[Ticket]:
        """A method of the application's own."""
        return self.query().where(Ticket.priority >= 3).order_by("-priority").all()


class Meters(Repository[Meter]):
    pass


class Assets(Repository[Asset]):
    pass


class Vehicles(Repository[Vehicle]):
    pass


class Labels(Repository[Label]):
    pass


class Countries(ReadRepository[Country]):
    pass


class AsyncCompanies(AsyncRepository[Company]):
    options = Companies.options


class AsyncTickets(AsyncRepository[Ticket]):
    async def urgent(self) -> list[Ticket]:
        """A method of the application's own."""
        return await self.query().where(Ticket.priority >= 3).order_by("-priority").all()


class AsyncMeters(AsyncRepository[Meter]):
    pass


class AsyncAssets(AsyncRepository[Asset]):
    pass


class AsyncVehicles(AsyncRepository[Vehicle]):
    pass


class AsyncLabels(AsyncRepository[Label]):
    pass


class AsyncCountries(AsyncReadRepository[Country]):
    pass


FACES = {
    "companies": (Companies, AsyncCompanies),
    "tickets": (Tickets, AsyncTickets),
    "meters": (Meters, AsyncMeters),
    "assets": (Assets, AsyncAssets),
    "vehicles": (Vehicles, AsyncVehicles),
    "labels": (Labels, AsyncLabels),
    "countries": (Countries, AsyncCountries),
}
