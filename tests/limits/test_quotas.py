"""Quotas by every way rows can be written, in every cell and through every door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from sqlalchemy import delete, func, insert, literal, select, text, update

from tenantry import errors
from tenantry.ids import uuid7
from tenantry.limits import Quota, Quotas, QuotaUsage, Recount
from tenantry.session.core import TenantSession

from .crowd import Crowd, crowd, places_of
from .models import Country, Document, Folder, Note, Seat, used

Write = Callable[[TenantSession, int], Any]
TABLE: Any = Document.__table__


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> None:
    """Has each test begin without rows, and with limits as declared."""
    place = request.getfixturevalue("place") if "place" in request.fixturenames else None
    if place is not None:
        ground = request.getfixturevalue("ground")
        sync = Place(place.cell, "sync")
        for side in ("near", "far"):
            with ground.session(sync, side) as door:
                for model in (Document, Folder, Seat, Note):
                    door.session.execute(delete(model.__table__))
                for name in ("documents", "storage", "seats"):
                    ground.made(sync).quotas.set(door.session, name, None)
                door.commit()


def values(session: TenantSession) -> dict[str, Any]:
    return {"tenant_id": session.tenant.id, "id": uuid7(), "size": 10}


def by_objects(session: TenantSession, count: int) -> None:
    session.add_all([Document() for _ in range(count)])


def by_bulk_insert(session: TenantSession, count: int) -> None:
    session.execute(insert(Document), [values(session) for _ in range(count)])


def by_table(session: TenantSession, count: int) -> None:
    session.execute(insert(TABLE), [values(session) for _ in range(count)])


def by_returning(session: TenantSession, count: int) -> None:
    session.scalars(insert(Document).returning(Document), [values(session) for _ in range(count)]).all()


def by_bulk_save(session: TenantSession, count: int) -> None:
    session.bulk_save_objects([Document(**values(session)) for _ in range(count)])


def by_bulk_mappings(session: TenantSession, count: int) -> None:
    session.flush()
    session.bulk_insert_mappings(Document, [values(session) for _ in range(count)])  # type: ignore[arg-type]  # a model


def by_text(session: TenantSession, count: int) -> None:
    for _ in range(count):
        row = {name: getattr(value, "hex", value) for name, value in values(session).items()}
        session.execute(text('INSERT INTO "documents" (tenant_id, id, size) VALUES (:tenant_id, :id, :size)'), row)


def by_connection(session: TenantSession, count: int) -> None:
    for _ in range(count):
        row = values(session)
        numbers = f"'{row['tenant_id'].hex}', '{row['id'].hex}', 10"
        session.connection().exec_driver_sql(f"INSERT INTO documents (tenant_id, id, size) VALUES ({numbers})")


def by_select(session: TenantSession, count: int) -> None:
    for _ in range(count):
        row = values(session)
        source = select(*(literal(value, TABLE.c[name].type).label(name) for name, value in row.items()))
        session.execute(insert(Document).from_select(list(row), source))


def by_savepoint(session: TenantSession, count: int) -> None:
    for _ in range(count):
        with session.begin_nested():
            session.add(Document())
        with session.begin_nested() as lost:
            session.add(Document(size=1000))
            session.flush()
            lost.rollback()


WRITES = [
    by_objects,
    by_bulk_insert,
    by_table,
    by_returning,
    by_bulk_save,
    by_bulk_mappings,
    by_text,
    by_connection,
    by_select,
    by_savepoint,
]


def usage(ground: Ground, place: Place, side: str = "near") -> dict[str, int]:
    with ground.session(place, side) as door:
        return used(door.call(ground.made(place).quotas.usage))


def counted(ground: Ground, place: Place) -> int:
    with ground.session(place) as door:
        return door.run(lambda session: session.scalar(select(func.count()).select_from(Document)))


# The other doors run the same session, and the other homes have the same tables.
FEW = [place for place in PLACES if place in SYNC_PLACES or place.cell in ("postgresql-rows", "sqlite-file")]
EVERY_WAY = ("postgresql-rows", "sqlite-file", "sqlite-rows")
TRIED = [
    (place, write)
    for place in PLACES
    for write in (WRITES if place in SYNC_PLACES and place.cell in EVERY_WAY else WRITES[:2])
]


@pytest.mark.parametrize(("place", "write"), TRIED, ids=lambda part: getattr(part, "__name__", str(part)))
def test_nobody_gets_beyond_a_quota(ground: Ground, place: Place, write: Write) -> None:
    with ground.session(place) as door:
        door.run(lambda session: write(session, 5))
        door.commit()
    assert usage(ground, place) == {"documents": 5, "storage": 50}
    with ground.session(place) as door:
        with pytest.raises(errors.QuotaExceeded) as refused:
            door.run(lambda session: (write(session, 1), session.commit()))
        assert (refused.value.quota, refused.value.used, refused.value.limit) == ("documents", 5, 5)
        assert refused.value.asked == 1
        with pytest.raises(errors.QuotaExceeded):
            door.commit()
    assert counted(ground, place) == 5
    assert usage(ground, place) == {"documents": 5, "storage": 50}
    assert not door.ground.made(place).quotas.recount(f"near-{place.cell}")


@pytest.mark.parametrize("place", FEW, ids=str)
def test_what_is_deleted_is_given_back(ground: Ground, place: Place) -> None:
    deletions: list[Write] = [
        lambda session, _: session.delete(session.scalars(select(Document)).first()),
        lambda session, _: session.execute(delete(Document)),
        lambda session, _: session.execute(delete(TABLE)),
        lambda session, _: session.execute(text("DELETE FROM documents")),
        lambda session, _: session.delete(session.scalars(select(Folder)).one()),
    ]
    for remove in deletions:
        with ground.session(place) as door:
            door.run(lambda session: session.add(Folder(documents=[Document()])))
            door.commit()
            assert usage(ground, place)["documents"] == 1
            door.run(lambda session, remove=remove: remove(session, 1))
            door.commit()
            assert usage(ground, place) == {}
            door.run(lambda session: session.execute(delete(Folder)))
            door.commit()


@pytest.mark.parametrize("place", FEW, ids=str)
def test_storage_and_seats_follow_what_the_rows_say(ground: Ground, place: Place) -> None:
    def fill(session: TenantSession) -> None:
        session.add_all([Document(size=60), *(Seat() for _ in range(3)), Seat(active=False)])

    changes: list[Callable[[TenantSession], Any]] = [
        lambda session: session.add(Document(size=41)),
        lambda session: setattr(session.scalars(select(Document)).one(), "size", 101),
        lambda session: session.execute(update(Document).values(size=Document.size + 41)),
        lambda session: session.add(Seat()),
        lambda session: setattr(session.scalars(select(Seat).where(~Seat.active)).one(), "active", True),
        lambda session: session.execute(update(Seat).values(active=True)),
        lambda session: session.execute(text("UPDATE seat_holders SET active = true")),
    ]
    with ground.session(place) as door:
        door.run(fill)
        door.commit()
        assert usage(ground, place) == {"documents": 1, "storage": 60, "seats": 3}
        for change in changes:
            with pytest.raises(errors.QuotaExceeded):
                door.run(lambda session, change=change: (change(session), session.commit()))
            door.rollback()
        door.run(lambda session: session.execute(update(Seat).values(active=False)))
        door.run(lambda session: session.add_all([Seat(), Document(size=40)]))
        door.commit()
    assert usage(ground, place) == {"documents": 2, "storage": 100, "seats": 1}


@pytest.mark.parametrize("place", FEW, ids=str)
def test_a_tenant_may_have_a_limit_of_its_own(ground: Ground, place: Place) -> None:
    quotas = ground.made(place).quotas
    with ground.session(place) as door:
        door.call(quotas.set, "documents", 7)
        door.run(lambda session: by_objects(session, 7))
        door.commit()
        assert door.call(quotas.usage)[0] == QuotaUsage("documents", 7, 7)
        assert door.call(quotas.usage)[0].remaining == 0
        # Whoever is beyond a lower limit keeps what there is, may delete, and gets no more.
        door.call(quotas.set, "documents", 2)
        door.run(lambda session: session.delete(session.scalars(select(Document)).first()))
        door.commit()
        with pytest.raises(errors.QuotaExceeded):
            door.run(lambda session: (by_objects(session, 1), session.commit()))
        door.rollback()
        door.call(quotas.set, "documents", None)
        door.commit()
    assert usage(ground, place)["documents"] == 6
    assert usage(ground, place, "far").get("documents") is None
    with ground.session(place, "far") as door:
        door.run(lambda session: by_objects(session, 5))
        door.commit()
    assert usage(ground, place)["documents"] == 6


@pytest.mark.parametrize("place", FEW, ids=str)
def test_asking_early_settles_once(ground: Ground, place: Place) -> None:
    quotas = ground.made(place).quotas
    with ground.session(place) as door:
        door.run(lambda session: by_objects(session, 3))
        door.call(quotas.check)
        door.run(lambda session: by_bulk_insert(session, 2))
        door.call(quotas.check)
        door.run(lambda session: by_objects(session, 1))
        with pytest.raises(errors.QuotaExceeded):
            door.call(quotas.check)
        # Nothing was refused but the commit: the program may take its own way out.
        door.run(lambda session: session.delete(session.scalars(select(Document)).first()))
        door.commit()
    assert usage(ground, place) == {"documents": 5, "storage": 50}


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_savepoint_that_is_rolled_back_takes_its_count_with_it(ground: Ground, place: Place) -> None:
    quotas = ground.made(place).quotas
    with ground.session(place) as door:
        session = door.session
        by_objects(session, 2)
        session.flush()
        with session.begin_nested() as lost:
            by_objects(session, 1)
            quotas.check(session)
            lost.rollback()
        session.commit()
    assert usage(ground, place)["documents"] == counted(ground, place) == 2


@pytest.mark.parametrize("place", FEW, ids=str)
def test_a_row_that_is_only_stamped_is_given_back_and_asked_for_again(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        first, second = Note(), Note()
        door.run(lambda session: session.add_all([first, second]))
        door.commit()
        assert usage(ground, place) == {"notes": 2}
        first.soft_delete()
        door.commit()
        assert usage(ground, place) == {"notes": 1}
        door.run(lambda session: session.add(Note()))
        door.commit()
        first.restore()
        with pytest.raises(errors.QuotaExceeded):
            door.commit()
        door.rollback()
        door.run(lambda session: session.execute(update(Note).values(deleted_at=func.current_timestamp())))
        door.commit()
    assert usage(ground, place) == {}


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_row_that_is_written_over_is_counted_once(ground: Ground, place: Place) -> None:
    with ground.session(place) as door:
        session, identifier = door.session, uuid7()
        session.add(Document(id=identifier))
        session.commit()
        session.delete(session.get(Document, identifier))
        session.add(Document(id=identifier, size=20))
        session.commit()
    assert usage(ground, place) == {"documents": 1, "storage": 20}


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_recount_finds_what_nobody_counted(ground: Ground, place: Place) -> None:
    key, quotas = f"near-{place.cell}", ground.made(place).quotas
    with ground.session(place) as door:
        by_objects(door.session, 2)
        door.commit()
        # The driver's own cursor passes nobody who counts.
        cursor = door.session.connection().connection.cursor()
        row = values(door.session)
        cursor.execute(
            f"INSERT INTO documents (tenant_id, id, size) VALUES ('{row['tenant_id'].hex}', '{row['id'].hex}', 5)"
        )
        door.commit()
    assert quotas.recount(key) == [Recount("documents", 2, 3), Recount("storage", 20, 25)]
    assert quotas.recount(key) == []
    assert usage(ground, place) == {"documents": 3, "storage": 25}


@pytest.mark.parametrize("place", FEW, ids=str)
def test_reading_changes_and_locks_nothing(ground: Ground, place: Place) -> None:
    with ground.session(place, read_only=True) as door:
        assert door.run(lambda session: session.scalars(select(Document)).all()) == []
        assert used(door.call(ground.made(place).quotas.usage)) == {}
        door.commit()


def test_names_and_limits_that_are_none_are_refused(ground: Ground) -> None:
    place = SYNC_PLACES[0]
    quotas = ground.made(place).quotas
    with pytest.raises(errors.ConfigurationError, match="There is no quota 'rows'"):
        quotas.set(f"near-{place.cell}", "rows", 1)
    with pytest.raises(errors.ConfigurationError, match="is no limit"):
        quotas.set(f"near-{place.cell}", "seats", -1)
    for wrong in ([Quota("", Seat)], [Quota("x" * 64, Seat)], [Quota("a", Seat), Quota("a", Seat)]):
        with pytest.raises(errors.ConfigurationError, match="cannot name a quota"):
            Quotas(ground.tenancy(place), *wrong)
    for impossible in (Quota("a", Country), Quota("a", Seat, limit=-1)):
        with pytest.raises(errors.ConfigurationError, match="There is no quota of"):
            Quotas(ground.tenancy(place), impossible)


def run(ground: Ground, clients: Crowd, cell: str, *, limit: int, threads: int, asks: int) -> tuple[int, int]:
    """Lets the clients loose on an empty tenant; returns what was written and what the counter says."""
    place = Place(cell, "sync")
    with ground.session(place) as door:
        door.session.execute(delete(Document))
        ground.made(place).quotas.set(door.session, "documents", limit)
        door.commit()
    told = clients.storm(place=cell.split("-")[0], key=f"near-{cell}", kind="rows", threads=threads, asks=asks)
    assert told["granted"] == counted(ground, place)
    return told["granted"], usage(ground, place)["documents"]


def test_clients_of_several_processes_fill_it_exactly(ground: Ground, clients: Crowd) -> None:
    for cell in ("postgresql-rows", "sqlite-file"):
        assert run(ground, clients, cell, limit=30, threads=8, asks=3) == (30, 30)
        assert run(ground, clients, cell, limit=60, threads=8, asks=3) == (48, 48)


@pytest.mark.soak
@pytest.mark.parametrize("cell", ["postgresql-rows", "postgresql-schema", "sqlite-file", "sqlite-rows"])
def test_sixteen_clients_fill_it_exactly_in_every_of_20_runs(ground: Ground, cell: str) -> None:
    with crowd(places_of(ground), processes=4) as clients:
        found = [run(ground, clients, cell, limit=80, threads=4, asks=8) for _ in range(20)]
    over = sum(max(written - 80, 0) for written, _ in found)
    lost = sum(max(80 - written, 0) for written, _ in found)
    print(f"\n{cell}: 20 runs of 16 clients in 4 processes, 128 writes for 80 rows each: {over} over, {lost} lost")
    assert set(found) == {(80, 80)}
