"""What the linter says of append-only and soft-deleted tables, and what a declaration of either becomes."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Index, MetaData, String, Table, UniqueConstraint, Uuid, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry.models import APPEND_ONLY, AppendOnly, Platform, SoftDelete, TenantOwned, Timestamps, is_append_only, lint


def _codes(base: Any) -> list[tuple[str, str]]:
    return [(finding.code, finding.object) for finding in lint(base.metadata)]


def test_an_append_only_table_promises_no_change() -> None:
    class Base(DeclarativeBase):
        pass

    class Event(AppendOnly, Timestamps, SoftDelete, TenantOwned, Base):
        __tablename__ = "events"
        seen: Mapped[datetime.datetime | None] = mapped_column(onupdate=datetime.datetime.now)

    assert _codes(Base) == [("M024", f"events.{name}") for name in ("seen", "updated_at", "deleted_at", "deleted_by")]


@pytest.mark.parametrize("action", [{"ondelete": "CASCADE"}, {"ondelete": "SET NULL"}, {"onupdate": "CASCADE"}])
def test_no_key_changes_an_append_only_row(action: dict[str, str]) -> None:
    metadata = MetaData()
    Table("parents", metadata, Column("tenant_id", Uuid, primary_key=True), Column("id", Uuid, primary_key=True))
    parents = metadata.tables["parents"]
    parents.info["tenantry"] = "tenant"
    Table(
        "events",
        metadata,
        Column("tenant_id", Uuid, primary_key=True),
        Column("id", Uuid, primary_key=True),
        Column("parent_id", Uuid, ForeignKey("parents.id", **action)),
        info={"tenantry": "tenant", APPEND_ONLY: True},
    )
    assert [finding.code for finding in lint(metadata)] == ["M023"]


def test_only_tenants_tables_are_kept_or_hidden() -> None:
    class Base(DeclarativeBase):
        pass

    class Vendor(Platform, SoftDelete, Base):
        __tablename__ = "vendors"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Price(AppendOnly, Platform, Base):
        __tablename__ = "prices"
        id: Mapped[int] = mapped_column(primary_key=True)

    assert _codes(Base) == [("M022", "prices"), ("M025", "vendors")]
    assert not is_append_only(Base.metadata.tables["prices"])


def test_what_is_unique_is_unique_among_live_rows() -> None:
    no_family = text("family IS NULL")

    class Base(DeclarativeBase):
        pass

    class Agent(SoftDelete, TenantOwned, Base):
        __tablename__ = "agents"
        __table_args__ = (
            UniqueConstraint("given", "family"),
            UniqueConstraint("badge", info={"include_deleted": True}),
            Index("ix_agents_open", "given", unique=True, postgresql_where=no_family, sqlite_where=no_family),
        )
        email: Mapped[str] = mapped_column(unique=True)
        given: Mapped[str]
        family: Mapped[str | None]
        badge: Mapped[str]

    class Desk(TenantOwned, Base):
        __tablename__ = "desks"
        email: Mapped[str] = mapped_column(String, ForeignKey("agents.email"))
        badge: Mapped[str] = mapped_column(String, ForeignKey("agents.badge"))

    assert _codes(Base) == [("M026", "desks(tenant_id, email)")]
    table = Base.metadata.tables["agents"]
    found = {index.name: str(index.dialect_options["postgresql"]["where"]) for index in table.indexes}
    live = "agents.deleted_at IS NULL"
    assert found == {"uq_agents_email": live, "uq_agents_given_family": live, "ix_agents_open": "family IS NULL"}
    unique = [[c.name for c in k.columns] for k in table.constraints if isinstance(k, UniqueConstraint)]
    assert unique == [["tenant_id", "badge"]]
