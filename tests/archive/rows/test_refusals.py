"""What cannot be carried without loss: refused with table, column and row, and nothing is left behind."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from cells import Ground

from tenantry import errors
from tenantry.archive.encoding import split, whole_lines
from tenantry.archive.places import reading, writing

from .places import Home, clear, digests, home, scratch

ID = uuid.UUID(int=1)
# What PostgreSQL holds and SQLite does not: column, PostgreSQL's literal, and why.
ONLY_POSTGRESQL = [
    ("ratio", "'NaN'", "no NaN"),
    ("single", "'NaN'", "no NaN"),
    ("free", "'NaN'", "no NaN"),
    ("free", "'Infinity'", "no NaN and no infinite"),
    ("free", "12345678901234567890.5", "exactly"),
    ("free", "0.1234567890123456789", "exactly"),
    ("free", "9007199254740993.5", "exactly"),
    ("moment", "'infinity'", "other database"),
    ("moment", "'0044-03-15 00:00 BC'", "other database"),
    ("local", "'-infinity'", "other database"),
    ("local", "'12026-01-01'", "other database"),
    ("day", "'0001-01-01 BC'", "other database"),
    ("day", "'10000-01-01'", "other database"),
    ("time", "'24:00:00'", "24:00:00"),
    ("length", "'25:00:00'", "24 hours"),
    ("length", "'1 month'", "other database"),
    ("length", "'-00:00:01'", "24 hours"),
    ("length", "'4000000 days'", "of that length"),
    ("json", "'1.10'", "exactly"),
    ("json", "'12345678901234567890123'", "exactly"),
]
# What SQLite holds and PostgreSQL does not: column and SQLite's literal.
ONLY_SQLITE = [
    ("text", "'a' || char(0) || 'b'", "u0000"),
    ("text", "CAST(X'ff41' AS TEXT)", "UTF-8"),
    ("text", "X'61'", "bytes stands"),
    ("number", "'many'", "str stands"),
    ("flag", "2", "neither true nor false"),
    ("price", "'dear'", "str stands"),
    ("price", "9e999", "infinite"),
    ("ratio", "'fast'", "str stands"),
    ("single", "1e300", "four bytes"),
    ("own", "'not-a-uuid'", "no uuid"),
    ("moment", "'yesterday'", "no timestamp"),
    ("day", "'2024-2-1'", "other database"),
    ("length", "'long'", "no interval"),
    ("document", "'{\"a\": NaN}'", "no NaN"),
    ("document", '\'{"a": "\\u0000"}\'', "u0000"),
    ("document", '\'{"a": "\\ud800"}\'', "no json"),
    ("document", "'{\"a\": 1e999999999}'", "does not hold"),
    ("document", "'{not json'", "no json"),
]


@pytest.fixture(scope="module")
def places(ground: Ground) -> Iterator[dict[str, Home]]:
    """Two empty places, one of each kind."""
    with ExitStack() as stack:
        yield {cell: stack.enter_context(scratch(ground, cell)) for cell in ("postgresql-rows", "sqlite-file")}


@contextlib.contextmanager
def planted(ground: Ground, place: Home, column: str, literal: str) -> Iterator[None]:
    """Gives a place one row that has this value, past the library."""
    tenancy, tenant = place
    names = f"tenant_id, id, created_at, updated_at, {column}"
    server: Any = tenancy.servers.get(tenant.server)
    if server.kind == "sqlite":
        with contextlib.closing(sqlite3.connect(server.file(tenant.physical))) as connection, connection:
            moment = "'2024-01-01 00:00:00.000000'"
            values = f"'{tenant.id.hex}', '{ID.hex}', {moment}, {moment}, {literal}"
            connection.execute(f"INSERT INTO things ({names}) VALUES ({values})")
    else:
        with psycopg.connect(ground.owner_url) as connection:
            values = f"'{tenant.id}', '{ID}', now(), now(), {literal}"
            connection.execute(f"INSERT INTO things ({names}) VALUES ({values})")
    try:
        yield
    finally:
        clear(place)


def _unreadable(source: Home, reason: str) -> Any:
    with reading(*source) as reader, pytest.raises(errors.RowRefused, match=reason) as caught:
        list(reader.rows("things"))
    return caught.value


def _fill(place: Home, rows: dict[str, list[bytes]]) -> None:
    with writing(*place) as writer:
        for table, chunks in rows.items():
            writer.fill(table, chunks)


@pytest.mark.parametrize(("column", "literal", "reason"), ONLY_POSTGRESQL)
def test_what_sqlite_cannot_hold_is_refused_before_any_of_it_is_there(
    ground: Ground, places: dict[str, Home], column: str, literal: str, reason: str
) -> None:
    source, file = places.values()
    with planted(ground, source, column, literal), reading(*source) as reader:
        chunks = list(reader.rows("things"))
        with pytest.raises(errors.RowRefused, match=reason) as caught:
            _fill(file, {"counted": [b"1\tfirst\n"], "things": chunks})
    found: Any = caught.value
    assert (found.table, found.column, found.key) == ("things", column, str(ID))
    assert all(not digest.rows for digest in digests(*file).values())


@pytest.mark.parametrize(("column", "literal", "reason"), ONLY_SQLITE)
def test_what_only_sqlite_holds_cannot_be_read(
    ground: Ground, places: dict[str, Home], column: str, literal: str, reason: str
) -> None:
    with planted(ground, places["sqlite-file"], column, literal):
        caught = _unreadable(places["sqlite-file"], reason)
    assert caught.table == "things"
    if reason != "UTF-8":
        assert (caught.column, caught.key) == (column, ID.hex)


def test_a_document_that_jsonb_does_not_take_cannot_be_read(ground: Ground, places: dict[str, Home]) -> None:
    place = places["postgresql-rows"]
    with planted(ground, place, "json", "'\"\\u0000\"'"):
        caught = _unreadable(place, "u0000.*jsonb")
    assert "json" in caught.column


@pytest.mark.parametrize("cell", ["postgresql-rows", "sqlite-file", "sqlite-rows"])
@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("counted", b"1\tone"),
        ("counted", b"1\n"),
        ("counted", b"1\tone\tmore\n"),
        ("counted", b"one\tone\n"),
        ("counted", b"1\t\\N\n"),
        ("counted", b"1\tone\n1\ttwo\n"),
        ("counted", b"1\tsame\n2\tsame\n"),
        ("counted", b"99999999999999999999\tone\n"),
        ("counted", b"1\t\xff\n"),
        ("lefts", b"no uuid\t\\N\n"),
        ("rights", b"00000000-0000-0000-0000-000000000001\t00000000-0000-0000-0000-000000000002\n"),
        ("dogs", b"00000000-0000-0000-0000-000000000001\tt\n"),
        ("companies", b"00000000-0000-0000-0000-000000000001\tAnother tenant's\n"),
    ],
)
def test_rows_that_do_not_fit_are_refused_whole(ground: Ground, cell: str, table: str, rows: bytes) -> None:
    tenancy, tenant = home(ground, cell)
    before = digests(tenancy, tenant)
    with pytest.raises(errors.ArchiveError):
        _fill((tenancy, tenant), {"named": [b"first\t1\n"], table: [rows]})
    assert digests(tenancy, tenant) == before


def test_an_error_never_quotes_what_stands_in_a_row(ground: Ground) -> None:
    for cell in ("postgresql-rows", "sqlite-file"):
        for table, rows in (
            ("lefts", b"00000000-0000-0000-0000-000000000001\tsecret\n"),
            ("counted", b"1\tsecret\n2\tsecret\n"),
            ("counted", b"1\tsecret\tsecret\n"),
            ("counted", b"1\tsecret\xff\n"),
        ):
            with pytest.raises(errors.ArchiveError) as caught, writing(*home(ground, cell)) as writer:
                writer.fill(table, [rows])
            assert "secret" not in str(caught.value)


@pytest.mark.parametrize("rows", [b"\\x41\n", b"a\\", b"\\\n", b"\\q\n"])
def test_only_canonical_escapes_are_undone(rows: bytes) -> None:
    with pytest.raises(ValueError, match=r"escape|cut"):
        list(split([rows]))


def test_chunks_may_end_anywhere() -> None:
    rows = b"a\\tb\t\\N\t\n\\\\N\t\t\xc3\xa9\n"
    whole = [(b"a\tb", None, b""), (b"\\N", b"", "é".encode())]
    for cut in range(len(rows) + 1):
        assert list(split([rows[:cut], b"", rows[cut:]])) == whole
    assert b"".join(whole_lines([rows[:3], rows[3:]])) == rows
