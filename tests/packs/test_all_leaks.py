"""No way leads from one tenant's session to another's rows: in every table of every pack, in every cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from .everything import CELLS, Scene, keeps, packs, reads, scene, spellings, writes

PACKS = {pack.name: pack for pack in packs()}
SHORT = "postgresql-rows"


def _places() -> list[Any]:
    """Returns every pack in one cell through one door, and, for who has minutes, in every cell through all."""
    short = [pytest.param((name, SHORT, ["sync"]), id=f"{name}-{SHORT}") for name in PACKS]
    whole = [((name, cell, []), f"{name}-{cell}-all") for cell in CELLS for name in PACKS]
    return [*short, *(pytest.param(each, id=said, marks=pytest.mark.soak) for each, said in whole)]


@pytest.fixture(scope="module", params=_places())
def place(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    name, cell, doors = request.param
    with scene(PACKS[name], cell, postgres, tmp_path_factory.mktemp(name)) as found:
        found.doors = doors or list(found.tenancies)
        yield found


def test_there_are_five_packs_and_each_table_has_rows_of_both(place: Scene) -> None:
    assert set(PACKS) >= {"assistant", "documents", "helpdesk", "incidents", "meetings"}
    for side in (place.a, place.b):
        assert set(side.rows) == {table.name for table in place.tables}
        assert side.is_in(side.rows)
    assert not place.a.is_in(place.b.rows)


def test_nothing_of_the_neighbours_is_read(place: Scene) -> None:
    for door in place.doors:
        for table in place.tables:
            for name, work in reads(place.pack, table, place.b):
                seen = place.attempt(door, work)
                assert not place.b.is_in(seen), (door, table.name, name)
                # Whoever names no tenant sees its own.
                assert name not in ("core", "text", "orm") or place.a.is_in(seen), (door, table.name, name, seen)
    # Each way leads to the rows where there is no wall: the operator's look goes across.
    if CELLS[place.cell] == "rows":
        _reach_without_a_wall(place)


def _reach_without_a_wall(place: Scene) -> None:
    with place.tenancy.operator("whether the ways lead anywhere") as session:
        for table in place.tables:
            for name, work in reads(place.pack, table, place.b):
                assert place.b.is_in(work(session)), (table.name, name)
                session.rollback()
                session.expunge_all()


def test_no_other_spelling_leads_there(place: Scene) -> None:
    for table in place.tables:
        for spelt in spellings(place, table):
            seen = place.attempt(
                "sync", lambda session, spelt=spelt: session.execute(text(f"SELECT * FROM {spelt}")).all()
            )
            # A refusal repeats the name that was tried.
            told = place.b.mark in str(seen) if isinstance(seen, Exception) else place.b.is_in(seen)
            assert not told, (table.name, spelt)


def test_nothing_of_the_neighbours_is_written(place: Scene) -> None:
    before = place.state(place.b)
    for door in place.doors:
        for table in place.tables:
            for name, work in writes(place.pack, table, place.a, place.b):
                done = place.attempt(door, work)
                assert isinstance(done, Exception) or done == 0, (door, table.name, name, done)
    assert place.state(place.b) == before


def test_what_the_neighbour_may_itself_is_what_was_tried(place: Scene) -> None:
    """The same statements do change rows where they may: those of the tenant that they name."""
    reached = 0
    for table in [each for each in place.tables if not keeps(each)]:
        for name, work in writes(place.pack, table, place.b, place.a):
            if name in ("core, update", "text, update"):
                reached += place.attempt("sync", work) == 1
    assert reached > 0


def test_no_tenant_reads_what_is_the_platforms(place: Scene) -> None:
    walled = {table.name for table in place.tables}
    for table in place.pack.base.metadata.tables.values():
        if table.name not in walled and table.schema is None:
            seen = place.attempt("sync", lambda session, table=table: session.execute(table.select()).all())
            assert isinstance(seen, Exception), table.name
