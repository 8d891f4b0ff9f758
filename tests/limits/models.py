"""Models with quotas on them, and what limits their tenants."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tenantry import Tenancy
from tenantry.limits import Limit, Quota, Quotas, Rates, TokenBucket
from tenantry.models import Shared, SoftDelete, TenantOwned

RULES = {"api": Limit(3, per=10**9), "mail": TokenBucket(1, burst=3, per=10**6)}


class Base(DeclarativeBase):
    pass


class Folder(TenantOwned, Base):
    __tablename__ = "folders"

    name: Mapped[str] = mapped_column(String(50), default="")
    documents: Mapped[list[Document]] = relationship(back_populates="folder", passive_deletes="all")


class Document(TenantOwned, Base):
    __tablename__ = "documents"

    size: Mapped[int] = mapped_column(default=10)
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"))
    folder: Mapped[Folder | None] = relationship(back_populates="documents")


class Seat(TenantOwned, Base):
    __tablename__ = "seat_holders"

    active: Mapped[bool] = mapped_column(default=True)


class Note(SoftDelete, TenantOwned, Base):
    __tablename__ = "notes"


class Country(Shared, Base):
    __tablename__ = "countries"

    code: Mapped[str] = mapped_column(String(2), primary_key=True)


def quotas_of(tenancy: Tenancy) -> Quotas:
    """Returns the quotas of these models."""
    return Quotas(
        tenancy,
        Quota("documents", Document, limit=5),
        Quota("storage", Document, by=Document.size, limit=100),
        Quota("seats", Seat, where=Seat.active, limit=3),
        Quota("notes", Note, limit=2),
    )


class Limited:
    """A tenancy with rates and quotas."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy
        self.rates = Rates(tenancy, limits=RULES)
        self.quotas = quotas_of(tenancy)


def used(quotas: Any) -> dict[str, int]:
    """Returns how much of each quota is used, if any is."""
    return {found.name: found.used for found in quotas if found.used}
