"""What is read is what stands: columns and tables that the models lack are taken, or told of, and never left out."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from cells import CELLS, Ground
from sqlalchemy import MetaData

from tenantry import errors
from tenantry.archive.places import reading, unlisted, writing
from tenantry.archive.shapes import ColumnShape, Kind, TableShape, shapes
from tenantry.archive.standing import StandingColumn, StandingTable, met

from .models import Base
from .places import Home, clear, home, scratch


@pytest.fixture(params=CELLS)
def place(request: pytest.FixtureRequest, ground: Ground) -> Iterator[tuple[Ground, Home]]:
    with scratch(ground, request.param) as place:
        yield ground, place


@contextlib.contextmanager
def changed(ground: Ground, place: Home, *statements: str, back: str = "") -> Iterator[None]:
    """Alters a place past the library, and back again."""
    run(ground, place, *statements)
    try:
        yield
    finally:
        clear(place)
        run(ground, place, back)


def run(ground: Ground, place: Home, *statements: str) -> None:
    tenancy, tenant = place
    server: Any = tenancy.servers.get(tenant.server)
    if server.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(server.file(tenant.physical or "common.sqlite3"))) as file:
            for statement in filter(None, statements):
                file.execute(statement)
            file.commit()
        return
    own = tenant.physical if tenant.isolation == "database" else None
    url = ground.owner_url if own is None else f"{ground.owner_url.rpartition('/')[0]}/{own}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"SET search_path = {tenant.physical if tenant.isolation == 'schema' else 'public'}")
        for statement in filter(None, statements):
            owner.execute(statement)


def stored(place: Home, table: str) -> str:
    """Returns the name under which a table stands."""
    tenancy, tenant = place
    in_common_file = tenancy.servers.get(tenant.server).kind == "sqlite" and tenant.isolation == "rows"
    return f"{table}__rows" if in_common_file else table


def test_a_column_that_the_models_lack_is_carried(place: tuple[Ground, Home]) -> None:
    ground, here = place
    counted = stored(here, "counted")
    added = f"ALTER TABLE {counted} ADD COLUMN later VARCHAR(20)"
    with changed(ground, here, added, back=f"ALTER TABLE {counted} DROP COLUMN later"):
        with writing(*here) as writer:
            writer.fill("counted", [b"1\tone\ta\\tb\n2\ttwo\t\\N\n"])
        with reading(*here) as reader:
            assert reader.shape("counted").columns[-1] == ColumnShape("later", Kind.TEXT)
            assert b"".join(reader.rows("counted")) == b"1\tone\ta\\tb\n2\ttwo\t\\N\n"
        # An archive of before it had that column: what it says nothing of stays empty.
        old = next(shape for shape in shapes(Base.metadata) if shape.name == "counted")
        with writing(*here, shapes=[old]) as writer:
            writer.fill("counted", [b"3\tthree\n"])
            assert b"".join(writer.rows("counted")) == b"1\tone\n2\ttwo\n3\tthree\n"


def test_a_walled_table_that_the_models_lack_is_carried(place: tuple[Ground, Home]) -> None:
    tenancy, tenant = here = place[1]
    server: Any = tenancy.servers.get(tenant.server)
    # Nothing says of a CHAR(32) in SQLite that it holds a UUID: it is carried as the text that stands there.
    link = _ID if server.kind == "postgresql" else _ID.replace("-", "")
    without = MetaData()
    for table in Base.metadata.sorted_tables:
        if table.name != "links":
            table.to_metadata(without)
    known, server.metadata = server.metadata, without
    try:
        with writing(*here) as writer:
            writer.fill("things", [_row(writer.shape("things"))])
            writer.fill("animals", [f"{_ID}\tdog\n".encode()])
            writer.fill("links", [f"{link}\t{link}\n".encode()])
        with reading(*here) as reader:
            assert reader.shape("links").key == ("thing_id", "animal_id")
            assert reader.digest("links").rows == 1
            names = [table.name for table in reader.tables]
        assert names.index("things") < names.index("links")
        assert unlisted(tenancy, tenant) == []
    finally:
        server.metadata = known


_ID = "00000000-0000-0000-0000-00000000000a"


def _row(shape: TableShape) -> bytes:
    given = {"id": _ID, "created_at": "2026-01-01 00:00:00+00", "updated_at": "2026-01-01 00:00:00+00"}
    return "\t".join(given.get(name, "\\N") for name in shape.names).encode() + b"\n"


def test_rows_that_the_place_has_no_room_for_are_refused(place: tuple[Ground, Home]) -> None:
    _, here = place
    table = TableShape("nowhere", (ColumnShape("id", Kind.UUID),), ("id",))
    column = TableShape("counted", (ColumnShape("id", Kind.INTEGER), ColumnShape("lost", Kind.TEXT)), ("id",))
    for door in (reading, writing):
        for shape, missing in ((table, "nowhere"), (column, r"counted\.lost")):
            with pytest.raises(errors.PlaceUnfit, match=missing), door(*here, shapes=[shape]):
                pass


def test_a_table_with_rows_of_the_tenant_that_nobody_declared_is_told_of(place: tuple[Ground, Home]) -> None:
    ground, here = place
    tenant = here[1]
    making = "CREATE TABLE forgotten (tenant_id VARCHAR(36), what TEXT)"
    with changed(ground, here, making, back="DROP TABLE forgotten"):
        assert unlisted(*here) == []
        run(ground, here, f"INSERT INTO forgotten VALUES ('{tenant.id}', 'x')")
        (finding,) = unlisted(*here)
        assert finding.code == "R002"
        assert "forgotten" in finding.object
        # Of rows in common tables only its own are the tenant's.
        for cell in CELLS:
            assert unlisted(*home(ground, cell, "far")) == []


def test_a_place_that_is_not_there_is_told(ground: Ground) -> None:
    for cell in ("sqlite-file", "postgresql-schema"):
        with scratch(ground, cell) as (tenancy, tenant):
            tenancy.servers.strategy(tenant.server, tenant.isolation).drop(tenant.id)
            with pytest.raises(errors.PlaceUnfit), reading(tenancy, tenant):
                pass
            tenancy.servers.strategy(tenant.server, tenant.isolation).create(tenant.id)


def test_tables_in_a_circle_are_each_taken_once() -> None:
    columns = {"id": StandingColumn("id", Kind.UUID, None)}
    standing = {
        name: StandingTable(name, columns, ("tenant_id", "id"), parents)
        for name, parents in (("a", ("b", "a")), ("b", ("c",)), ("c", ("a",)), ("d", ("a", "gone")))
    }
    assert [shape.name for shape in met((), standing, exact=True)] == ["c", "b", "a", "d"]


def test_a_row_is_read_in_the_transaction_that_wrote_it(place: tuple[Ground, Home]) -> None:
    tenancy, tenant = place[1]
    with writing(tenancy, tenant) as writer:
        writer.fill("named", [b"a\t1\n"])
        with reading(tenancy, tenant, within=writer.connection) as inside:
            assert b"".join(inside.rows("named")) == b"a\t1\n"
        with writing(tenancy, tenant, within=writer.connection) as inside:
            inside.fill("named", [b"b\t1\n"])
        with reading(tenancy, tenant) as outside:
            assert outside.digest("named").rows == 0
        assert writer.fill("counted", [b"1\tone\n"]) == 1
        assert writer.digest("named").rows == 2


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"name": "t", "columns": []},
        {"name": "t", "columns": {}, "key": []},
        {"name": "t", "columns": [], "key": ["id"]},
        {"name": "t", "columns": [], "key": [], "more": 1},
        {"name": 1, "columns": [], "key": []},
        {"name": "t", "columns": [{"name": "a", "kind": "magic", "scale": None, "of_tenant": False}], "key": []},
        {"name": "t", "columns": [{"name": "a", "kind": "text", "scale": "2", "of_tenant": False}], "key": []},
        {"name": "t", "columns": [{"name": "a", "kind": "text", "scale": True, "of_tenant": False}], "key": []},
        {"name": "t", "columns": [{"name": "tenant_id", "kind": "uuid", "scale": None, "of_tenant": False}], "key": []},
        {"name": "t", "columns": [{"name": "a", "kind": "text", "scale": None, "of_tenant": False}] * 2, "key": []},
    ],
)
def test_a_shape_is_read_strictly(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"archive|contradict|members"):
        TableShape.from_json(document)


def test_a_shape_comes_back_from_its_document() -> None:
    for shape in shapes(Base.metadata):
        assert TableShape.from_json(shape.to_json()) == shape
