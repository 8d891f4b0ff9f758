"""The cache in every cell, through every door and with every store: found, dropped with the commit, never earlier."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Door, Ground, Place
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import selectinload

from tenantry.errors import CacheRefused, ConfigurationError

from .models import Base, Board, Card, Currency, Tag, board_tags

WORDS = iter(f"w{number}" for number in range(10**9))


class Desk:
    """One place, one store: asks for the titles of the boards, and counts how often they were loaded."""

    def __init__(self, ground: Ground, place: Place, store: str) -> None:
        self.ground = ground
        self.place = place
        self.cache = ground.made(place).by_store[store]
        # Nobody else's question.
        self.name = f"titles {uuid.uuid4()}"
        self.loads = 0

    def load(self, session: Any) -> list[str]:
        self.loads += 1
        return list(session.scalars(select(Board.title).order_by(Board.title)))

    def ask(self, side: str = "near", **options: Any) -> list[str]:
        """Asks by the tenant's key."""
        options = {"reads": [Board], **options}
        load = options.pop("load", self.load)
        key = f"{side}-{self.place.cell}"
        if self.place.door == "sync":
            return self.cache.get(key, self.name, load, **options)
        return self.ground.runner.run(self.cache.aio.get(key, self.name, load, **options))

    def ask_in(self, door: Door, **options: Any) -> list[str]:
        """Asks in a session."""
        options = {"reads": [Board], **options}
        load = options.pop("load", self.load)
        return door.call(self.cache.get, self.name, load, **options)

    def write(self, work: Callable[[Any], Any], side: str = "near", *, end: str = "commit") -> None:
        with self.ground.session(self.place, side) as door:
            door.run(work)
            getattr(door, end)()

    def board(self, side: str = "near", **fields: Any) -> uuid.UUID:
        board = Board(**{"id": uuid.uuid4(), "title": next(WORDS), **fields})
        number = board.id
        self.write(lambda session: session.add(board), side)
        return number


def _desk(ground: Ground, place: Place, store: str) -> Desk:
    if store not in ground.made(place).by_store:
        pytest.skip("redis-server is not installed here")
    return Desk(ground, place, store)


# What a store does depends on the door, not on the cell.
FAR_CELLS = ("postgresql-rows", "sqlite-file")
EVERYWHERE = [pytest.param((place, "memory"), id=f"{place}-memory") for place in PLACES] + [
    pytest.param((place, "redis"), id=f"{place}-redis", marks=pytest.mark.redis)
    for place in PLACES
    if place.cell in FAR_CELLS
]
# One database of each kind, and the views that stand for tables.
NEAR = [place for place in SYNC_PLACES if place.cell in ("postgresql-rows", "sqlite-file", "sqlite-rows")]


@pytest.fixture(params=EVERYWHERE)
def desk(request: pytest.FixtureRequest, ground: Ground) -> Desk:
    """Every place with the store in memory, and every door with Redis."""
    return _desk(ground, *request.param)


@pytest.fixture(params=[each for each in EVERYWHERE if each.values[0][0].cell in FAR_CELLS])
def door_desk(request: pytest.FixtureRequest, ground: Ground) -> Desk:
    """Every door, with each store."""
    return _desk(ground, *request.param)


@pytest.fixture(params=NEAR, ids=str)
def near_desk(request: pytest.FixtureRequest, ground: Ground) -> Desk:
    """The plain door, with the store in memory."""
    return Desk(ground, request.param, "memory")


def test_a_result_is_loaded_once_and_dropped_with_the_commit(desk: Desk) -> None:
    desk.board()
    first = desk.ask()
    assert desk.ask() == first
    assert desk.loads == 1
    with desk.ground.session(desk.place) as door:
        assert desk.ask_in(door) == first
    assert desk.loads == 1
    desk.board()
    second = desk.ask()
    assert set(first) < set(second)
    assert desk.loads == 2


def test_a_neighbour_never_gets_it(door_desk: Desk) -> None:
    door_desk.board(title="the near one's")
    door_desk.board("far", title="the far one's")
    for side, other in (("near", "far"), ("far", "near")):
        assert f"the {side} one's" in door_desk.ask(side)
        assert f"the {other} one's" not in door_desk.ask(side)
    assert door_desk.loads == 2
    door_desk.board("far")
    door_desk.ask()
    # A neighbour's write drops nothing.
    assert door_desk.loads == 2


def test_a_rollback_drops_nothing(door_desk: Desk) -> None:
    door_desk.board()
    first = door_desk.ask()
    door_desk.write(lambda session: session.execute(update(Board).values(title="gone")), end="rollback")
    assert door_desk.ask() == first
    assert door_desk.loads == 1


def test_who_has_written_sees_it_and_nobody_else_does(desk: Desk) -> None:
    desk.board()
    first = desk.ask()
    with desk.ground.session(desk.place) as door:
        door.run(lambda session: session.execute(update(Board).values(title="mine")))
        assert set(desk.ask_in(door)) == {"mine"}
        if desk.place.postgresql:
            assert desk.ask() == first
        door.rollback()
    assert desk.ask() == first


def test_a_reader_between_cannot_bring_the_old_back(desk: Desk) -> None:
    desk.board()

    def load(session: Any) -> list[str]:
        old = desk.load(session)
        # Another writer, who is done before this reader is, through the plain door of the same database.
        tenancy = desk.ground.tenancy(Place(desk.place.cell, "sync"))
        with tenancy.transaction(f"near-{desk.place.cell}") as db:
            db.add(Board(title=next(WORDS)))
        return old

    old = desk.ask(load=load)
    assert set(old) < set(desk.ask())


WRITES: dict[str, Callable[[Any, uuid.UUID], Any]] = {
    "flush": lambda db, board: setattr(db.get(Board, board), "title", next(WORDS)),
    "delete": lambda db, board: db.delete(db.get(Board, board)),
    "ORM update": lambda db, board: db.execute(update(Board).where(Board.id == board).values(title=next(WORDS))),
    "Core insert": lambda db, board: db.execute(
        insert(Board.__table__).values(tenant_id=db.tenant.id, id=uuid.uuid4(), title=next(WORDS))
    ),
    "many": lambda db, board: db.execute(insert(Board), [{"tenant_id": db.tenant.id, "title": word} for word in "ab"]),
    "bulk": lambda db, board: db.bulk_save_objects([Board(tenant_id=db.tenant.id, title=next(WORDS))]),
    "text": lambda db, board: db.execute(text("UPDATE boards SET title = title || '!'")),
    "connection": lambda db, board: db.connection().exec_driver_sql("UPDATE boards SET title = title || '?'"),
    "savepoint": lambda db, board: _in_savepoint(db),
}


def _in_savepoint(db: Any) -> None:
    with db.begin_nested():
        db.add(Board(title=next(WORDS)))


@pytest.mark.parametrize("kind", WRITES)
def test_every_way_of_writing_drops_it(near_desk: Desk, kind: str) -> None:
    board = near_desk.board()
    first = near_desk.ask()
    near_desk.write(lambda session: WRITES[kind](session, board))
    assert near_desk.ask() != first


def test_what_the_database_deletes_along_drops_it(near_desk: Desk) -> None:
    board = near_desk.board()
    near_desk.write(lambda session: session.add(Card(board_id=board)))

    def cards() -> int:
        count = lambda session: session.scalar(select(func.count()).select_from(Card))  # noqa: E731  # short
        return near_desk.ask(load=count, reads=[Card])

    before = cards()
    near_desk.write(lambda session: session.execute(delete(Board).where(Board.id == board)))
    assert cards() == before - 1


def test_a_link_in_a_secondary_table_drops_it(near_desk: Desk) -> None:
    board = near_desk.board()

    def links() -> int:
        count = lambda session: session.scalar(select(func.count()).select_from(board_tags))  # noqa: E731  # short
        return near_desk.ask(load=count, reads=[board_tags])

    before = links()

    def link(session: Any) -> None:
        found = session.get(Board, board)
        found.tags.append(Tag(word="new"))
        session.flush()

    near_desk.write(link)
    assert links() == before + 1


def test_a_write_to_another_table_drops_only_what_reads_everything(near_desk: Desk) -> None:
    near_desk.board()
    named, unnamed = near_desk.ask(), near_desk.ask(reads=None, by="all")
    near_desk.write(lambda session: session.add(Tag(word="x")))
    assert near_desk.ask() == named
    assert near_desk.loads == 2
    assert near_desk.ask(reads=None, by="all") == unnamed
    assert near_desk.loads == 3


def test_a_select_as_text_drops_nothing(near_desk: Desk) -> None:
    near_desk.board()
    near_desk.ask()
    near_desk.write(lambda session: session.execute(text("SELECT count(*) FROM boards")).all())
    near_desk.ask()
    assert near_desk.loads == 1


def test_tags_are_dropped_by_name(near_desk: Desk) -> None:
    near_desk.ask(reads=(), tags=["dashboard"])
    near_desk.board()
    near_desk.ask(reads=(), tags=["dashboard"])
    assert near_desk.loads == 1
    with near_desk.ground.session(near_desk.place) as door:
        door.call(near_desk.cache.drop, "dashboard")
        door.commit()
    near_desk.ask(reads=(), tags=["dashboard"])
    assert near_desk.loads == 2
    with near_desk.ground.session(near_desk.place) as door:
        door.call(near_desk.cache.drop)
        door.rollback()
    near_desk.ask(reads=(), tags=["dashboard"])
    assert near_desk.loads == 2


def test_parameters_are_part_of_the_question(near_desk: Desk) -> None:
    for by in (1, True, "1", 1.0, None, [1], (1,), {"a": 1}, {"a": None}):
        near_desk.ask(by=by)
    assert near_desk.loads == 9


def test_objects_that_are_there_already_are_not_kept(near_desk: Desk) -> None:
    """The session would give its own old copy of a row that has changed since."""
    board = near_desk.board()

    def title(session: Any) -> str:
        return session.get(Board, board).title

    with near_desk.ground.session(near_desk.place) as door:
        held = door.run(lambda session: session.get(Board, board))
        old = held.title
        door.commit()
        near_desk.write(lambda session: setattr(session.get(Board, board), "title", "new"))
        assert near_desk.ask_in(door, load=title) == old
    assert near_desk.ask(load=title) == "new"


def test_an_older_view_of_the_rows_is_not_kept(ground: Ground) -> None:
    desk = Desk(ground, Place("postgresql-rows", "sync"), "memory")
    desk.board()
    tenancy = ground.tenancy(desk.place)
    with tenancy.session("near-postgresql-rows", isolation_level="REPEATABLE READ") as db:
        old = db.scalars(select(Board.title)).all()
        desk.board()
        assert len(desk.cache.get(db, desk.name, desk.load, reads=[Board])) == len(old)
    assert len(desk.ask()) == len(old) + 1


def test_an_open_transaction_that_only_read_keeps_on_postgresql(near_desk: Desk) -> None:
    with near_desk.ground.session(near_desk.place) as door:
        door.run(lambda session: session.scalar(select(func.count()).select_from(Board)))
        near_desk.ask_in(door)
    near_desk.ask()
    assert near_desk.loads == (1 if near_desk.place.postgresql else 2)


def test_a_loader_that_writes_is_not_kept(near_desk: Desk) -> None:
    def load(session: Any) -> list[str]:
        session.add(Board(title=next(WORDS)))
        return near_desk.load(session)

    with near_desk.ground.session(near_desk.place) as door:
        seen = near_desk.ask_in(door, load=load)
        door.rollback()
    assert len(near_desk.ask()) == len(seen) - 1


def test_an_error_in_a_loader_leaves_the_lead_to_the_next(near_desk: Desk) -> None:
    def fail(session: Any) -> list[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        near_desk.ask(load=fail)
    near_desk.ask()
    near_desk.ask()
    assert near_desk.loads == 1


def test_objects_of_a_session_are_refused(near_desk: Desk) -> None:
    near_desk.board()
    with pytest.raises(CacheRefused, match=r"holds Board.*to_dict"):
        near_desk.ask(load=lambda session: list(session.scalars(select(Board).options(selectinload(Board.cards)))))
    near_desk.ask()
    assert near_desk.loads == 1


def test_everybody_gets_a_copy(near_desk: Desk) -> None:
    near_desk.board()
    first = near_desk.ask()
    first.append("scribbled")
    assert "scribbled" not in near_desk.ask()
    assert near_desk.loads == 1


def test_a_decorated_function_is_asked_by_its_arguments(door_desk: Desk) -> None:
    calls = []
    if door_desk.place.door == "sync":

        @door_desk.cache.cached(name=door_desk.name, reads=[Board])
        def count(db: Any, least: int = 0, *, word: str = "") -> int:
            calls.append((least, word))
            return db.scalar(select(func.count()).select_from(Board))
    else:

        @door_desk.cache.cached(name=door_desk.name, reads=[Board])
        async def count(db: Any, least: int = 0, *, word: str = "") -> int:
            calls.append((least, word))
            return await db.scalar(select(func.count()).select_from(Board))

    def call(*args: Any, **kwargs: Any) -> int:
        found = count(f"near-{door_desk.place.cell}", *args, **kwargs)
        return door_desk.ground.runner.run(found) if inspect.iscoroutine(found) else found

    before = call()
    assert call(0) == call(least=0, word="") == before
    call(1)
    call(word="x")
    assert calls == [(0, ""), (1, ""), (0, "x")]
    door_desk.board()
    assert call() == before + 1


def test_functions_that_share_a_name_are_refused(near_desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match=r"cached\(name="):
        near_desk.cache.cached()(lambda db: 1)


def test_only_tables_of_tenants_can_be_watched(near_desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match=r"ttl="):
        near_desk.ask(reads=[Currency])
    assert "currencies" in {table.name for table in Base.metadata.tables.values()}


@pytest.mark.parametrize("door", ["sync", "psycopg", "asyncpg"])
def test_a_session_of_another_tenancy_is_refused(ground: Ground, door: str) -> None:
    """Nobody would hear of what it commits."""
    desk = Desk(ground, Place("postgresql-rows", door), "memory")
    stranger = ground.made(Place("postgresql-rows", "psycopg" if door == "asyncpg" else "asyncpg")).by_store["memory"]
    with ground.session(desk.place) as session:
        with pytest.raises(ConfigurationError, match="another Tenancy"):
            session.call(stranger.get, desk.name, desk.load)
        with pytest.raises(ConfigurationError, match="another Tenancy"):
            session.call(stranger.drop)
    assert desk.loads == 0


@pytest.mark.parametrize("options", [{"ttl": 0}, {"ttl": 10**9}, {"tags": [""]}])
def test_bad_options_are_refused(near_desk: Desk, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        near_desk.ask(**options)
    assert near_desk.loads == 0


def test_forgetting_takes_everything_and_counts_what_named_the_person(door_desk: Desk) -> None:
    tenant = door_desk.ground.tenancy(door_desk.place).tenants.get(f"near-{door_desk.place.cell}").id
    door_desk.cache.forget(tenant, None)
    door_desk.ask(load=lambda session: ["written by Ann@Example.com today"], by=1)
    door_desk.ask(load=lambda session: {"who": "bob", "number": 12}, by=2)
    door_desk.ask("far", load=lambda session: ["ann@example.com"], by=1)
    assert door_desk.cache.forget(tenant, {"ann@example.com"}) == 1
    assert door_desk.cache.forget(tenant, {"ann@example.com"}) == 0
    door_desk.ask(by=2)
    assert door_desk.loads == 1
    assert door_desk.cache.forget(tenant, {"2"}) == 0
    door_desk.ask("far", by=1)
    assert door_desk.loads == 1


def test_clearing_says_how_much_it_was(near_desk: Desk) -> None:
    key = f"near-{near_desk.place.cell}"
    near_desk.cache.clear(key)
    near_desk.ask(by=1)
    near_desk.ask(by=2)
    assert near_desk.cache.clear(key) == 2
    assert near_desk.cache.clear(key) == 0


def test_the_statistics_add_up(door_desk: Desk) -> None:
    tenant = door_desk.ground.tenancy(door_desk.place).tenants.get(f"near-{door_desk.place.cell}")
    before = door_desk.cache.stats(tenant)
    door_desk.ask()
    door_desk.ask()
    door_desk.ask()
    found = door_desk.cache.stats(tenant)
    assert (found.hits - before.hits, found.misses - before.misses, found.kept - before.kept) == (2, 1, 1)
    assert 0 < found.hit_rate < 1
    assert door_desk.cache.stats().hits >= found.hits
