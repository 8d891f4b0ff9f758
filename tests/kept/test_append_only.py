"""Append-only tables: rows are added in every cell and by every door, and no statement of a tenant's changes one."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from cells import SYNC_PLACES, Door, Ground, Place, opened
from sqlalchemy import Column, ForeignKey, Integer, String, Table, Uuid, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tenantry import Tenancy
from tenantry.errors import AppendOnlyViolation, ConfigurationError
from tenantry.ids import uuid7
from tenantry.models import AppendOnly, CreatedAt, TenantOwned, UTCDateTime, lint, linting_kept

from .places import everywhere

OLD = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Base(DeclarativeBase):
    pass


class Event(AppendOnly, CreatedAt, TenantOwned, Base):
    __tablename__ = "events"
    kind: Mapped[str]
    number: Mapped[int] = mapped_column(unique=True)


class Matter(TenantOwned, Base):
    __tablename__ = "matters"


class Finding(AppendOnly, TenantOwned, Base):
    __tablename__ = "findings"
    matter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("matters.id", ondelete="CASCADE"))


class Remark(AppendOnly, TenantOwned, Base):
    __tablename__ = "remarks"
    matter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("matters.id", ondelete="SET NULL"))


def _logged(tenancy: Tenancy) -> Table:
    columns = (
        Column("id", Uuid(), primary_key=True, default=uuid7),
        Column("said", String, unique=True),
        Column("times", Integer, default=1),
        Column("created_at", UTCDateTime(), nullable=False),
    )
    return tenancy.table("log_entries", *columns, behaviour="Log", tenantry_append_only=True)


@pytest.fixture(scope="module")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        # The linter refuses the keys of findings and remarks: here the database is to see through them.
        refused = [finding for finding in lint(Base.metadata) if finding.code == "M023"]
        assert [finding.object for finding in refused] == [
            "findings(tenant_id, matter_id)",
            "remarks(tenant_id, matter_id)",
        ]
        patch.setattr(linting_kept, "judge", lambda _: iter(()))
        with opened(postgres, tmp_path_factory.mktemp("append_only"), Base, _logged) as ground:
            yield ground


@pytest.fixture
def door(ground: Ground, request: pytest.FixtureRequest) -> Any:
    with ground.session(request.param) as door:
        door.run(lambda session: _write(session, ground.made(request.param)))
        door.commit()
        yield door


def _write(session: Session, table: Table) -> None:
    said = f"said {uuid7()}"
    session.execute(insert(table).values(tenant_id=session.tenant.id, said=said, created_at=OLD))  # type: ignore[attr-defined]  # a tenant's
    session.add(Event(kind="opened", number=uuid7().int % 2**31))


def _state(door: Door) -> list[Any]:
    table = door.ground.made(door.place)
    return door.run(
        lambda session: [
            *session.execute(select(table).order_by(table.c.id)).all(),
            *session.execute(select(Event.__table__).order_by(Event.id)).all(),
        ]
    )


IN_PYTHON = {
    "update": lambda session, table: session.execute(update(table).values(times=9)),
    "delete": lambda session, table: session.execute(delete(table)),
    "orm-update": lambda session, table: session.execute(update(Event).values(kind="x")),
    "orm-delete": lambda session, table: session.execute(delete(Event).where(Event.number > 0)),
    "bulk-update": lambda session, table: session.bulk_update_mappings(Event, _rows(session)),
    "many-updates": lambda session, table: session.execute(update(Event), _rows(session)),
    "dirty": lambda session, table: _changed(session),
    "deleted": lambda session, table: _deleted(session),
    "merge": lambda session, table: _merged(session),
    "upsert": lambda session, table: session.execute(_upsert(session, table)),
}


def _rows(session: Session) -> list[dict[str, Any]]:
    found = session.scalars(select(Event).limit(1)).one()
    return [{"tenant_id": found.tenant_id, "id": found.id, "kind": "x"}]


@everywhere("door", indirect=True)
def test_the_session_says_so(door: Door) -> None:
    before, table = _state(door), door.ground.made(door.place)
    for name, work in IN_PYTHON.items():
        with pytest.raises(AppendOnlyViolation, match=r"events|log_entries"):
            door.run(lambda session, work=work: work(session, table))
        door.rollback()
        assert _state(door) == before, name


def _changed(session: Session) -> None:
    session.scalars(select(Event)).first().kind = "x"  # type: ignore[union-attr]  # there is one
    session.flush()


def _deleted(session: Session) -> None:
    session.delete(session.scalars(select(Event)).first())
    session.flush()


def _merged(session: Session) -> None:
    row = session.scalars(select(Event)).first()
    session.expunge(row)
    session.merge(Event(tenant_id=row.tenant_id, id=row.id, number=row.number, kind="x"))  # type: ignore[union-attr]  # there is one
    session.flush()


def _upsert(session: Session, table: Table) -> Any:
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    given = {"tenant_id": session.tenant.id, "said": session.scalars(select(table.c.said)).first(), "created_at": OLD}  # type: ignore[attr-defined]  # a tenant's
    return (
        dialect.insert(table)
        .values(given)
        .on_conflict_do_update(index_elements=["tenant_id", "said"], set_={"times": 9})
    )


BY_TEXT = {
    "update": "UPDATE log_entries SET times = 9",
    "delete": "DELETE FROM log_entries",
    "update-nothing-new": "UPDATE log_entries SET times = times",
    "key": "UPDATE log_entries SET id = tenant_id",
    "upsert": "INSERT INTO log_entries (tenant_id, id, said, times, created_at) "
    "SELECT tenant_id, id, said, 9, created_at FROM log_entries WHERE true "
    "ON CONFLICT (tenant_id, id) DO UPDATE SET times = 9",
    "replace": "INSERT OR REPLACE INTO log_entries (tenant_id, id, said, times, created_at) "
    "SELECT tenant_id, id, said, 9, created_at FROM log_entries",
    "replace-by-another-key": "REPLACE INTO log_entries (tenant_id, id, said, times, created_at) "
    "SELECT tenant_id, lower(hex(randomblob(16))), said, 9, created_at FROM log_entries",
    "update-or-replace": "UPDATE OR REPLACE log_entries SET said = 'one'",
    "writable-expression": "WITH gone AS (DELETE FROM log_entries RETURNING *) SELECT count(*) FROM gone",
    "merge": "MERGE INTO log_entries l USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET times = 9",
    "merge-delete": "MERGE INTO log_entries l USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "lock": "SELECT * FROM log_entries FOR UPDATE",
    "truncate": "TRUNCATE log_entries",
    "drop-trigger": "DROP TRIGGER tenantry_append_only ON log_entries",
    "drop-trigger-sqlite": "DROP TRIGGER tenantry_append_only_log_entries_update",
    "disable-trigger": "ALTER TABLE log_entries DISABLE TRIGGER ALL",
    "replica": "SET LOCAL session_replication_role = replica",
    "drop-table": "DROP TABLE log_entries",
}


@everywhere("door", indirect=True)
def test_the_database_refuses_it(door: Door) -> None:
    before = _state(door)
    for name, statement in BY_TEXT.items():
        with pytest.raises(DBAPIError):
            door.run(lambda session, statement=statement: session.execute(text(statement)))
        door.rollback()
        assert _state(door) == before, name


@pytest.mark.parametrize("door", SYNC_PLACES, ids=str, indirect=True)
@pytest.mark.parametrize("model", [Finding, Remark])
def test_a_foreign_keys_action_is_refused_as_well(door: Door, model: type[Any]) -> None:
    matter = Matter(id=uuid7())
    door.session.add(matter)
    door.session.flush()
    door.session.add(model(matter_id=matter.id))
    door.commit()
    for claim in ["SET LOCAL tenantry.purging = 'on'"] * door.place.postgresql + ["SELECT 1"]:
        door.session.execute(text(claim))
        with pytest.raises(DBAPIError, match="is append-only"):
            door.session.execute(delete(Matter).where(Matter.id == matter.id))
        door.rollback()
    assert door.session.scalars(select(model.matter_id).where(model.matter_id == matter.id)).all() == [matter.id]


@pytest.mark.parametrize("door", [place for place in SYNC_PLACES if place.postgresql], ids=str, indirect=True)
def test_saying_that_it_is_a_purge_does_not_help_the_apps_login(door: Door) -> None:
    before = _state(door)
    door.run(lambda session: session.execute(text("SET LOCAL tenantry.purging = 'on'")))
    with pytest.raises(DBAPIError, match="permission denied"):
        door.run(lambda session: session.execute(text("DELETE FROM log_entries")))
    door.rollback()
    assert _state(door) == before


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_purge_takes_what_is_old_and_of_the_tenant(ground: Ground, place: Place) -> None:
    table, tenancy = ground.made(place), ground.tenancy(place)
    for side in ("near", "far"):
        with ground.session(place, side) as door:
            for at in (OLD, datetime.datetime.now(datetime.UTC)):
                row = {"tenant_id": door.session.tenant.id, "said": f"{uuid7()}", "created_at": at}
                door.session.execute(insert(table).values(**row))
            door.session.add(Event(kind="closed", number=uuid7().int % 2**31))
            door.commit()
    near, far = (_count(ground, place, side, table) for side in ("near", "far"))
    old = _count(ground, place, "near", table, table.c.created_at == OLD)
    gone = tenancy.purge(f"near-{place.cell}", table, older_than=datetime.timedelta(days=700), reason="two years")
    assert gone == old >= 1
    assert _count(ground, place, "near", table) == near - old
    assert _count(ground, place, "far", table) == far
    with ground.session(place) as door, pytest.raises(DBAPIError):
        # The triggers stand again.
        door.session.execute(text("DELETE FROM log_entries"))


def _count(ground: Ground, place: Place, side: str, table: Table, *where: Any) -> int:
    with ground.session(place, side) as door:
        return door.session.scalars(select(func.count()).select_from(table).where(*where)).one()


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_purge_of_a_class_by_more_than_age(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        numbers = [uuid7().int % 2**31 for _ in "ab"]
        door.session.add_all([Event(kind="kept", number=numbers[0]), Event(kind="spent", number=numbers[1])])
        door.commit()
        spent = Event.kind == "spent"
        end = datetime.datetime.now(datetime.UTC)
        assert ground.tenancy(place).purge(f"near-{place.cell}", Event, spent, older_than=end, reason="spent") == 1
        assert door.session.scalars(select(Event.number).where(Event.number.in_(numbers))).all() == numbers[:1]


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_what_fails_in_a_purge_takes_nothing(ground: Ground, place: Place) -> None:
    table = ground.made(place)
    with ground.session(place) as door:
        _write(door.session, table)
        door.commit()
    before = _count(ground, place, "near", table)
    with pytest.raises(ZeroDivisionError):
        _fail_in_a_purge(ground.tenancy(place), f"near-{place.cell}", table)
    assert _count(ground, place, "near", table) == before


def _fail_in_a_purge(tenancy: Tenancy, slug: str, table: Table) -> None:
    with tenancy.purging(slug, reason="a try") as purge:
        assert purge.delete(table)
        raise ZeroDivisionError


def test_a_purge_says_why(ground: Ground) -> None:
    place = SYNC_PLACES[0]
    with pytest.raises(ConfigurationError, match="no reason"):
        ground.tenancy(place).purge(f"near-{place.cell}", Event, older_than=OLD, reason=" ")


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_tenant_is_erased_with_what_it_kept(ground: Ground, place: Place) -> None:
    tenancy, slug = ground.tenancy(place), f"gone-{place.cell}"
    tenancy.tenants.create(slug, isolation=place.cell.rpartition("-")[2] if place.postgresql else _isolation(place))
    far = _count(ground, place, "far", ground.made(place))
    with tenancy.transaction(slug) as session:
        _write(session, ground.made(place))
    counts = tenancy.tenants.erase(slug, confirm=slug)
    assert {counts["log_entries"], counts["events"]} == {1}
    assert _count(ground, place, "far", ground.made(place)) == far


def _isolation(place: Place) -> str:
    return {"sqlite-file": "database", "sqlite-rows": "rows"}[place.cell]
