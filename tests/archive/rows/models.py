"""Models with every kind of column that both databases have, and every shape of reference that rows are carried by."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

from sqlalchemy import CHAR, JSON, Boolean, Computed, Enum, Float, ForeignKey, Numeric, String, Time, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import (
    AppendOnly,
    JSONDocument,
    SoftDelete,
    TenantOwned,
    TenantRecord,
    Timestamps,
    UTCDateTime,
    references,
    tenant_table,
)
from tenantry.usage.money import Money


class Base(DeclarativeBase):
    pass


class Company(TenantRecord, Base):
    __tablename__ = "companies"

    name: Mapped[str]


class Thing(Timestamps, SoftDelete, TenantOwned, Base):
    """A column of each kind."""

    __tablename__ = "things"

    company_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("companies.id"))
    parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("things.id", ondelete="CASCADE"))
    text: Mapped[str | None]
    short: Mapped[str | None] = mapped_column(String(40))
    padded: Mapped[str | None] = mapped_column(CHAR(5))
    kind: Mapped[str | None] = mapped_column(Enum("red", "green", name="colours", native_enum=False))
    flag: Mapped[bool | None] = mapped_column(Boolean)
    number: Mapped[int | None]
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    whole: Mapped[Decimal | None] = mapped_column(Numeric(9))
    free: Mapped[Decimal | None] = mapped_column(Numeric())
    money: Mapped[Decimal | None] = mapped_column(Money())
    ratio: Mapped[float | None]
    single: Mapped[float | None] = mapped_column(Float(24))
    data: Mapped[bytes | None]
    document: Mapped[Any | None] = mapped_column(JSONDocument)
    json: Mapped[Any | None] = mapped_column(JSON)
    day: Mapped[datetime.date | None]
    time: Mapped[datetime.time | None] = mapped_column(Time)
    moment: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    local: Mapped[datetime.datetime | None]
    length: Mapped[datetime.timedelta | None]
    own: Mapped[uuid.UUID | None]
    twice: Mapped[int | None] = mapped_column(Computed("number * 2", persisted=True))


class Counted(TenantOwned, Base):
    __tablename__ = "counted"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(unique=True)


class Event(AppendOnly, TenantOwned, Base):
    __tablename__ = "events"

    text: Mapped[str]


class Named(TenantOwned, Base):
    """Rows found by text: their order must not depend on where they stand."""

    __tablename__ = "named"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Left(TenantOwned, Base):
    __tablename__ = "lefts"

    right_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("rights.id", use_alter=True))


class Right(TenantOwned, Base):
    __tablename__ = "rights"
    __table_args__ = (UniqueConstraint("tenant_id", "left_id"),)

    left_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lefts.id"))


class Animal(TenantOwned, Base):
    __tablename__ = "animals"
    __mapper_args__ = {"polymorphic_on": "species", "polymorphic_identity": "animal"}  # noqa: RUF012  # SQLAlchemy's

    species: Mapped[str]


class Dog(Animal):
    __tablename__ = "dogs"
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012  # SQLAlchemy's

    barks: Mapped[bool]


links = tenant_table("links", Base.metadata, references("things.id"), references("animals.id"))
