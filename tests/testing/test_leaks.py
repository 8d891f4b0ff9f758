"""The exported model suites find a wall that is gone, and say where; and rows are made up for types of every kind."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import JSON, CheckConstraint, Enum, ForeignKey, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.errors import LeaksFound, RebindRefused, RowUnknown, UndoRefused
from tenantry.models import TenantOwned
from tenantry.testing import assert_isolated, conformance, ground, installing, leaks, rebound, undone
from tenantry.testing.servers import Server


class Base(DeclarativeBase):
    pass


class Kind(enum.Enum):
    LARGE = "large"


class Parcel(TenantOwned, Base):
    __tablename__ = "parcels"
    __table_args__ = (CheckConstraint("state IN ('packed', 'sent')"),)
    label: Mapped[str] = mapped_column(String(12), unique=True)
    state: Mapped[str]
    kind: Mapped[Kind] = mapped_column(Enum(Kind, native_enum=False))
    weight: Mapped[float]
    price: Mapped[int] = mapped_column(Numeric(8, 2))
    sent_on: Mapped[datetime.date]
    sent_at: Mapped[datetime.time]
    took: Mapped[datetime.timedelta]
    seal: Mapped[bytes]
    facts: Mapped[Any] = mapped_column(JSON)
    inside_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("parcels.id"))


class Stamp(TenantOwned, Base):
    __tablename__ = "stamps"
    parcel_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parcels.id"))


@pytest.fixture(scope="module")
def tenancy(postgres: Any) -> Iterator[Tenancy]:
    made = Tenancy("postgresql://app@production.invalid/parcels", models=Base)
    with installing.installed_on_postgresql(made, Server(postgres.url())) as installed:
        yield installed


@pytest.fixture
def unwalled(tenancy: Tenancy) -> Iterator[Tenancy]:
    """The tenancy, with the wall of one table down."""
    owner = tenancy.servers.main.url("owner", action="Taking a wall down").render_as_string(hide_password=False)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("ALTER TABLE parcels DISABLE ROW LEVEL SECURITY")
        yield tenancy
        connection.execute("ALTER TABLE parcels ENABLE ROW LEVEL SECURITY")


def test_a_wall_that_stands_lets_nothing_through(tenancy: Tenancy) -> None:
    assert_isolated(tenancy, Stamp)
    assert_isolated(tenancy)


def test_a_wall_that_is_down_is_found_by_every_way_through_it(unwalled: Tenancy) -> None:
    with ground(unwalled) as found:
        codes = {(each.code, each.object.partition(" ")[0]) for each in leaks.leaks_of(found)}
        assert {("read", "parcels"), ("write", "parcels")} <= codes
        assert "stamps" not in {table for _, table in codes}
        assert list(conformance.found_by_the_doctor(found))
    with pytest.raises(LeaksFound, match=r"parcels \(sync\): text: another tenant's rows are read"):
        assert_isolated(unwalled, Parcel)


def test_what_a_row_takes_can_be_said(tenancy: Tenancy) -> None:
    with ground(
        tenancy, tables=[Parcel.__table__], known={"parcels": {"state": "sent"}}, doors={"sync": tenancy}
    ) as one:
        assert (one.a.rows["parcels"]["state"], one.a.rows["parcels"]["kind"]) == ("sent", Kind.LARGE)


def test_a_type_that_nobody_knows_is_named() -> None:
    from sqlalchemy import Column, MetaData, Table
    from sqlalchemy.types import UserDefinedType

    from tenantry.testing.rows import Side, new_row

    table = Table("places", MetaData(), Column("at", UserDefinedType(), nullable=False))
    with pytest.raises(RowUnknown, match=r"places\.at is of the type"):
        new_row(table, Side("acme", uuid.uuid4()))


def test_two_tenants_of_one_sqlite_file_are_not_both_undone(tmp_path: Any) -> None:
    made = Tenancy("postgresql://app@production.invalid/parcels", models=Base)
    with installing.installed_on_sqlite(made, tmp_path) as tenancy:
        for slug in ("alfa", "bravo"):
            tenancy.tenants.create(slug, isolation="rows")
        with undone(tenancy), tenancy.session("alfa") as session:
            assert session.query(Parcel).count() == 0
            with pytest.raises(UndoRefused):
                tenancy.session("bravo")


def test_nothing_is_led_away_outside_pytest(tenancy: Tenancy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_VERSION")
    with pytest.raises(RebindRefused), rebound(tenancy, "sqlite:///elsewhere"):
        pass
