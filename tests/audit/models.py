"""What changes under the eyes of the audit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from tenantry import Tenancy
from tenantry.audit import Audit
from tenantry.models import JSONDocument, SoftDelete, TenantOwned, Timestamps


class Base(DeclarativeBase):
    pass


class Person(TenantOwned, Timestamps, Base):
    """Captured, with a secret by its name, one by its mark, one that is named, and a column left out."""

    __tablename__ = "people"

    name: Mapped[str]
    password_hash: Mapped[str | None]
    pin: Mapped[str | None] = mapped_column(info={"secret": True})
    address: Mapped[str | None]
    seen: Mapped[int] = mapped_column(default=0)
    balance: Mapped[Decimal | None]
    notes: Mapped[Any | None] = mapped_column(JSONDocument)
    pets: Mapped[list[Pet]] = relationship(back_populates="person", cascade="all, delete-orphan")


class Pet(TenantOwned, Base):
    """Captured; deleted as an orphan."""

    __tablename__ = "pets"

    name: Mapped[str]
    person_id: Mapped[Any] = mapped_column(ForeignKey("people.id"))
    person: Mapped[Person] = relationship(back_populates="pets")


class Page(SoftDelete, TenantOwned, Base):
    """Captured; goes and comes back."""

    __tablename__ = "pages"

    title: Mapped[str]


class Leaf(TenantOwned, Base):
    """Not captured."""

    __tablename__ = "leaves"

    name: Mapped[str]


def audited(tenancy: Tenancy, **options: Any) -> Audit:
    """Returns an audit as the room uses it."""
    audit = Audit(tenancy, **options)
    audit.capture(Person, redact=["address"], exclude=["seen"], category="people")
    audit.capture(Pet, Page)
    return audit
