"""Changed rows brought over by their keys, and the one moment that a reader sees while others write."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
from cells import CELLS, Ground
from sqlalchemy import delete, func, select, update

from tenantry.archive import reading_postgres, rows_sqlite
from tenantry.archive.encoding import keys_of, split
from tenantry.archive.places import reading, writing
from tenantry.archive.shapes import shapes

from .models import Base, Counted, Event, Left, Named, Right, Thing, links
from .places import Home, clear, digests, fill, home, scratch


@pytest.fixture(params=["postgresql-rows", "postgresql-schema", "sqlite-file", "sqlite-rows"])
def pair(request: pytest.FixtureRequest, ground: Ground) -> Iterator[tuple[Home, Home]]:
    """A tenant with rows, and a copy of them in a place of the other kind of database."""
    other = "sqlite-file" if request.param.startswith("postgresql") else "postgresql-rows"
    source = home(ground, request.param)
    with source[0].transaction(source[1]) as session:
        fill(session, source[1], seed=3)
    with scratch(ground, other) as target:
        with reading(*source) as reader, writing(*target, as_tenant=source[1].id) as writer:
            for table in reader.tables:
                writer.fill(table, reader.rows(table))
        yield source, target
    clear(source)


def _keys(place: Home) -> dict[str, set[tuple[str, ...]]]:
    with reading(*place) as reader:
        return {table.name: set(keys_of(table, reader.rows(table))) for table in reader.tables}


def test_changed_rows_are_brought_over_by_their_keys_alone(pair: tuple[Home, Home]) -> None:
    source, target = pair
    before = _keys(source)
    with source[0].transaction(source[1]) as session:
        things = list(session.scalars(select(Thing).order_by(Thing.id)))
        gone = things[:3]
        for thing in gone:
            session.execute(delete(links).where(links.c.thing_id == thing.id))
        # A circle of rows that refer to each other, some of which go.
        session.execute(update(Thing).values(parent_id=None))
        session.execute(delete(Thing).where(Thing.id.in_([thing.id for thing in gone])))
        session.execute(update(Thing).where(Thing.id == things[5].id).values(text="changed", parent_id=things[6].id))
        session.execute(update(Counted).where(Counted.id == 2).values(text="also changed"))
        session.add_all([Counted(text="new"), Event(text="new"), Named(id="new", part=1)])
        pair_of_new = Left(), Right()
        session.add_all(pair_of_new)
        session.flush()
        pair_of_new[0].right_id, pair_of_new[1].left_id = pair_of_new[1].id, pair_of_new[0].id
        # Two exchange what must be unique, by way of none.
        first, second = session.scalars(select(Right).where(Right.left_id.is_not(None)).limit(2))
        one, other = first.left_id, second.left_id
        first.left_id = None
        session.flush()
        second.left_id = one
        session.flush()
        first.left_id = other
    after = _keys(source)
    changes = {name: before[name] | after[name] for name in before}
    with reading(*source) as reader, writing(*target, as_tenant=source[1].id) as writer:
        assert writer.apply(changes, reader.rows_of) == sum(map(len, changes.values()))
        # Once more: nothing is different.
        writer.apply(changes, reader.rows_of)
    assert digests(*target, as_tenant=source[1].id) == digests(*source)


def test_a_table_is_brought_up_to_date_alone(pair: tuple[Home, Home]) -> None:
    source, target = pair
    with source[0].transaction(source[1]) as session:
        session.execute(delete(Named).where(Named.part == 0))
        session.add(Named(id="0", part=0))
    with reading(*source) as reader, writing(*target, as_tenant=source[1].id) as writer:
        keys = set(keys_of(writer.shape("named"), writer.rows("named"))) | {("0", "0")}
        writer.replace("named", keys, reader.rows_of("named", keys))
        assert writer.digest("named") == reader.digest("named")
        assert list(reader.rows_of("named", [("nothing", "1")])) == []
        assert list(reader.rows_of("named", [])) == []


def test_keys_that_only_look_alike_are_told_apart(ground: Ground) -> None:
    names = ["x", "X", "x ", "x\t", "x\\", "'x'", "{x,y}", "x,y", '"x"', "NULL", "\\N", ""]
    for cell in CELLS:
        tenancy, tenant = home(ground, cell)
        with tenancy.transaction(tenant) as session:
            session.add_all(Named(id=name, part=1) for name in names)
        with writing(tenancy, tenant) as writer:
            for name in names:
                (chunk,) = writer.rows_of("named", [(name, "1")])
                assert next(split([chunk])) == (name.encode(), b"1")
                assert writer.remove("named", [(name, "2"), (name, "1")]) == 1
            assert writer.digest("named").rows == 0


@pytest.mark.parametrize("cell", ["postgresql-rows", "sqlite-file"])
def test_a_reader_sees_one_moment_while_others_write(ground: Ground, cell: str) -> None:
    tenancy, tenant = home(ground, cell)
    with tenancy.transaction(tenant) as session:
        session.add_all(Counted(text=f"{number}") for number in range(50))
    enough, written = threading.Event(), []

    def write() -> None:
        # In each transaction a row goes from one table to another.
        while not enough.is_set():
            with tenancy.transaction(tenant) as session:
                chosen = session.scalar(select(Counted).limit(1).order_by(func.length(Counted.text), Counted.id))
                session.delete(chosen)
                session.flush()
                session.add_all([Event(text="moved"), Counted(text=uuid.uuid4().hex)])
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 5:
            pass
        for _ in range(5):
            with reading(tenancy, tenant) as reader:
                counted, begun = reader.digest("counted"), len(written)
                first = reader.digest("events").rows
                while len(written) < begun + 2:
                    pass
                assert reader.digest("counted") == counted
                assert (counted.rows, reader.digest("events").rows) == (50, first)
    finally:
        enough.set()
        writer.join()
        clear((tenancy, tenant))


def test_shapes_have_no_tenant_and_nothing_computed() -> None:
    known = {shape.name: shape for shape in shapes(Base.metadata)}
    assert "tenant_id" not in {name for shape in known.values() for name in shape.names}
    assert "twice" not in known["things"].names
    assert [column.name for column in known["things"].columns if column.of_tenant] == ["company_id"]
    assert known["named"].key == ("id", "part")
    assert known["links"].key == ("thing_id", "animal_id")
    assert known["dogs"].key == ("id",)
    assert list(known).index("companies") < list(known).index("things") < list(known).index("links")


@pytest.mark.parametrize("cell", ["postgresql-rows", "sqlite-file"])
def test_a_reading_that_is_given_up_half_way_holds_nothing_up(
    ground: Ground, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (reading_postgres, rows_sqlite):
        monkeypatch.setattr(module, "CHUNK", 10)
    tenancy, tenant = home(ground, cell)
    with tenancy.transaction(tenant) as session:
        session.add_all(Counted(text=f"{number}") for number in range(50))
    kept = []
    for _ in range(3):
        with reading(tenancy, tenant) as reader:
            kept += [reader.rows("counted"), reader.rows("counted")]
            assert 0 < next(kept[-1]).count(b"\n") < 50
    with writing(tenancy, tenant) as writer:
        kept.append(writer.rows("counted"))
        next(kept[-1])
        # One thing at a time: what is given up makes room for the next.
        kept[-1].close()
        assert writer.digest("counted").rows == 50
    assert clear((tenancy, tenant))["counted"] == 50
    assert [list(rows) for rows in kept] == [[]] * len(kept)
