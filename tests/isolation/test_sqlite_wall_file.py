"""A tenant's own file: its data is free, and nothing leads out of it or changes its shape."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from tenantry.isolation.sqlite_connection import fenced_factory, wall_of
from tenantry.models import Ownership, owned_tables

from .sqlite_walls import OWN, Base, Comment, Ticket, closing_engine

LIBRARY_TABLES = """
CREATE TABLE tenantry_placement (epoch);
CREATE TABLE tenantry_counters (value);
CREATE TABLE tenantry_changes (what);
CREATE TRIGGER tenantry_capture AFTER INSERT ON tags BEGIN INSERT INTO tenantry_changes VALUES (NEW.id); END;
CREATE VIRTUAL TABLE words USING fts5(word);
INSERT INTO countries VALUES ('de');
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tenant.sqlite3"
    with closing_engine(create_engine(f"sqlite:///{path}")) as engine, engine.connect() as connection:
        connection = connection.execution_options(schema_translate_map={"tenantry_shared": None})
        tables = owned_tables(Base.metadata, Ownership.TENANT, Ownership.RECORD, Ownership.SHARED)
        Base.metadata.create_all(connection, tables=tables)
        connection.commit()
    with closing(sqlite3.connect(path)) as owner:
        owner.executescript(LIBRARY_TABLES)
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    factory = fenced_factory(Base.metadata, writable=["tenantry_counters"])
    with closing(sqlite3.connect(path, factory=factory)) as connection:
        yield connection


def test_ordinary_work_goes_on(path: Path) -> None:
    factory = fenced_factory(Base.metadata)
    engine = create_engine(f"sqlite:///{path}", connect_args={"factory": factory})
    with closing_engine(engine), Session(engine) as session:
        ticket = Ticket(tenant_id=OWN, subject="new", facts={"a": 1})
        ticket.comments.append(Comment(tenant_id=OWN, body="x"))
        session.add(ticket)
        session.commit()
        assert session.scalars(select(Comment.body)).all() == ["x"]
        session.delete(ticket)
        session.commit()
        assert session.scalars(select(Comment)).all() == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM sqlite_master",
        "PRAGMA table_info(tickets)",
        "PRAGMA foreign_keys",
        "SELECT * FROM countries",
        "SELECT * FROM tenantry_placement",
        "UPDATE tenantry_counters SET value = 1",
        "INSERT INTO words VALUES ('one')",
        "SELECT * FROM words WHERE words MATCH 'one'",
        "SELECT value FROM json_each('[1]')",
        "EXPLAIN QUERY PLAN SELECT * FROM tickets",
        "INSERT INTO tags VALUES ('a', 'b', 'c') ON CONFLICT DO NOTHING",
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION SELECT n + 1 FROM c WHERE n < 9) SELECT * FROM c",
        "SAVEPOINT one",
    ],
)
def test_allowed(connection: sqlite3.Connection, statement: str) -> None:
    connection.execute(statement).fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH 'other.sqlite3' AS other",
        "ATTACH 'file:other.sqlite3?mode=ro' AS other",
        "ATTACH ':memory:' AS other",
        "ATTACH (SELECT 'other.sqlite3') AS other",
        "ATTACH '' AS other",
        "DETACH main",
        "VACUUM INTO 'copy.sqlite3'",
        "VACUUM",
        "SELECT load_extension('x')",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 3",
        "PRAGMA trusted_schema = ON",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "CREATE TEMP TRIGGER tenantry_x AFTER INSERT ON tags BEGIN DELETE FROM tenantry_placement; END",
        "DROP TABLE tickets",
        "ALTER TABLE tickets ADD COLUMN x",
        "CREATE INDEX x ON tickets (subject)",
        "CREATE VIRTUAL TABLE x USING fts5(y)",
        "ANALYZE",
        "REINDEX",
        "INSERT INTO countries VALUES ('xx')",
        "UPDATE COUNTRIES SET code = 'xx'",
        'DELETE FROM main."Countries"',
        "UPDATE tenantry_placement SET epoch = 0",
        "INSERT INTO TENANTRY_placement VALUES (1)",
        "DELETE FROM tenantry_changes",
        "WITH tenantry_x AS (SELECT 1) DELETE FROM tenantry_changes",
        "UPDATE sqlite_master SET sql = ''",
    ],
)
def test_refused(connection: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.DatabaseError):
        connection.execute(statement)


def test_the_librarys_triggers_may_write_its_tables(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO tags VALUES ('a', 'b', 'c')")
    assert connection.execute("SELECT * FROM tenantry_changes").fetchall() == [("b",)]


@pytest.mark.parametrize(
    "call",
    [
        lambda connection: connection.set_authorizer(None),
        lambda connection: connection.enable_load_extension(True),
        lambda connection: connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 10),
        lambda connection: connection.blobopen("countries", "code", 1),
        lambda connection: connection.deserialize(b""),
    ],
)
def test_the_side_doors_of_the_driver_are_shut(
    connection: sqlite3.Connection, call: Callable[[sqlite3.Connection], object]
) -> None:
    with pytest.raises(sqlite3.NotSupportedError):
        call(connection)


def test_it_needs_no_binding(connection: sqlite3.Connection) -> None:
    assert wall_of(connection) is None
