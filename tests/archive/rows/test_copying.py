"""COPY read in pieces: whole, left half way, and broken in the middle."""

from __future__ import annotations

import psycopg
import pytest

from tenantry.archive.copying import copied

ROWS = 200_000
QUERY = f"COPY (SELECT n, repeat('x', 20) FROM generate_series(1, {ROWS}) n) TO STDOUT"


@pytest.fixture
def connection(fresh_database: str):
    with psycopg.connect(fresh_database, autocommit=True) as opened:
        yield opened


def test_pieces_are_whole_rows_and_all_of_them(connection):
    pieces = list(copied(connection, QUERY, size=100_000))
    assert len(pieces) > 10
    assert all(piece.endswith(b"\n") for piece in pieces)
    lines = b"".join(pieces).splitlines()
    assert [int(line.split(b"\t")[0]) for line in lines] == list(range(1, ROWS + 1))
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_nothing_is_no_piece(connection):
    assert list(copied(connection, "COPY (SELECT 1 WHERE false) TO STDOUT", size=10)) == []
    assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("size", [1000, 1_000_000_000], ids=["first of many", "the only one"])
def test_who_stops_reading_leaves_a_connection_of_use(connection, size):
    reading = copied(connection, QUERY, size=size)
    assert next(reading)
    reading.close()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_that_is_wrong_says_so(connection):
    with pytest.raises(psycopg.errors.UndefinedTable):
        list(copied(connection, "COPY (SELECT * FROM nowhere) TO STDOUT", size=10))
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_error_in_the_middle_is_no_end(connection):
    broken = "COPY (SELECT 1 / (100000 - n) FROM generate_series(1, 200000) n) TO STDOUT"
    seen = []
    with pytest.raises(psycopg.errors.DivisionByZero):
        seen.extend(copied(connection, broken, size=1000))
    assert connection.execute("SELECT 1").fetchone() == (1,)
