"""A chain whose branches have a database each, and the models that all of them are to have."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.fleet.adopting import Plan, Single
from tenantry.models import Platform, Shared, TenantOwned

NAMES = ("ulm", "bonn")
CURRENCIES = [{"code": "EUR", "title": "Euro"}, {"code": "CHF", "title": "Franken"}]


class Base(DeclarativeBase):
    """The models of a branch as a Tenantry application has them."""


class Currency(Shared, Base):
    __tablename__ = "currencies"
    code: Mapped[str] = mapped_column(sa.String(3), primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(20))


class Staff(Platform, Base):
    __tablename__ = "staff"
    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


class Client(TenantOwned, Base):
    __tablename__ = "clients"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), unique=True)


class Bill(TenantOwned, Base):
    __tablename__ = "bills"
    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(sa.ForeignKey("clients.id", ondelete="CASCADE"))
    currency: Mapped[str | None] = mapped_column(sa.ForeignKey("currencies.code"))
    total: Mapped[int]


def plan(name: str) -> Plan:
    """Returns the plan for one branch: all rows are its own."""
    return Plan(tenants=Single(name))


def load(engine: sa.Engine, name: str) -> None:
    """Makes the tables of one branch with its rows; their numbers are the same in every branch."""
    old = sa.MetaData()
    sa.Table("currencies", old, sa.Column("code", sa.String(3), primary_key=True), sa.Column("title", sa.String(20)))
    sa.Table(
        "clients",
        old,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(20), nullable=False, unique=True),
    )
    sa.Table(
        "bills",
        old,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("client_id", sa.ForeignKey("clients.id", ondelete="CASCADE"), nullable=False),
        sa.Column("currency", sa.ForeignKey("currencies.code")),
        sa.Column("total", sa.Integer, nullable=False),
    )
    old.create_all(engine)
    with engine.begin() as connection:
        connection.execute(old.tables["currencies"].insert(), CURRENCIES)
        connection.execute(old.tables["clients"].insert(), clients(name))
        connection.execute(old.tables["bills"].insert(), bills(name))


def clients(name: str) -> list[dict[str, Any]]:
    return [{"name": f"{name} {index}"} for index in range(1, len(name) + 1)]


def bills(name: str) -> list[dict[str, Any]]:
    return [{"client_id": 1 + index % len(name), "currency": "EUR", "total": index} for index in range(5 * len(name))]


def counted(name: str) -> dict[str, int]:
    """Returns how many rows a branch has."""
    return {"clients": len(clients(name)), "bills": len(bills(name))}
