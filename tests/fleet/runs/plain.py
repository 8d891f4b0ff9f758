"""A schema history of plain SQL on real databases: three revisions, a version table in each home, real locks.

Each revision notes in the home that it ran and raises a counter there, so that a second time would show. A home with a
table ``poison`` cannot take the second revision.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from tenantry import Tenancy
from tenantry.errors import HomeBusy, MigrationFailed, RevisionUnknown
from tenantry.fleet import Applied, Home, HomeKind, Pace, Position
from tenantry.fleet.failing import describe
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import COMMON, PLATFORM, SqliteServer

REVISIONS = ("r1", "r2", "r3")
UP = {
    "r1": (
        "CREATE TABLE counter (n int NOT NULL)",
        "INSERT INTO counter VALUES (0)",
        "CREATE TABLE ran (revision text)",
    ),
    "r2": ("CREATE TABLE poison (x int)", "DROP TABLE poison", "ALTER TABLE counter ADD COLUMN half int"),
    "r3": ("CREATE INDEX ran_revision ON ran (revision)", "UPDATE counter SET half = n"),
}
DOWN = {
    "r3": ("UPDATE counter SET half = NULL", "DROP INDEX ran_revision"),
    "r2": ("ALTER TABLE counter DROP COLUMN half",),
    "r1": ("DROP TABLE counter", "DROP TABLE ran"),
}
TABLES = ("plain_version", "counter", "ran", "poison")


class PlainHistory:
    """The history; *stall* seconds are slept inside each transaction, for tests that need a run to last."""

    name = "plain"

    def __init__(self, tenancy: Tenancy, *, stall: float = 0.0) -> None:
        self._tenancy = tenancy
        self._stall = stall

    def serves(self, home: Home) -> bool:
        return True

    def resolve(self, target: str) -> str | None:
        if target in ("head", "base"):
            return REVISIONS[-1] if target == "head" else None
        if target not in REVISIONS:
            raise RevisionUnknown(revision=target, scripts="plain")
        return target

    def position(self, current: str | None, target: str | None) -> Position:
        if current is not None and current not in REVISIONS:
            return Position.DIVERGED
        here, there = rank(current), rank(target)
        return Position.AT if here == there else Position.BEHIND if here < there else Position.AHEAD

    def steps(self, current: str | None, target: str | None) -> Sequence[str]:
        here, there = rank(current), rank(target)
        return REVISIONS[here:there] if here < there else tuple(reversed(REVISIONS[there:here]))

    def read(self, homes: Sequence[Home]) -> Mapping[Home, str | None]:
        found: dict[Home, str | None] = {}
        for home in homes:
            if home.kind is not HomeKind.SCHEMA:
                with self.opened(home, reading=True) as place:
                    found[home] = place.version()
        for server in {home.server for home in homes}:
            found |= self._read_schemas([home for home in homes if home.server == server and home not in found])
        return found

    def _read_schemas(self, homes: list[Home]) -> Mapping[Home, str | None]:
        if not homes:
            return {}
        names = [home.physical for home in homes]
        standing = "select schemaname from pg_tables where tablename = 'plain_version' and schemaname = any(%s)"
        with self._tenancy.servers.get(homes[0].server).owner(action="Reading") as connection:
            present = [name for (name,) in connection.execute(standing, (names,)).fetchall()]
            each = [f"select '{name}', max(revision) from {name}.plain_version" for name in present]
            versions = dict(connection.execute(" union all ".join(each)).fetchall()) if each else {}
        return {home: versions.get(home.physical) for home in homes}

    def apply(self, home: Home, target: str | None, *, pace: Pace) -> Applied:
        with self.opened(home, pace=pace) as place:
            place.lock(home)
            before = place.version()
            steps = self.steps(before, target)
            for step in steps:
                self._take(place, home, step, before=before, up=rank(before) < rank(target))
            if steps:
                place.stamp(target)
            return Applied(before, target if steps else before, steps, {"counter": len(steps)})

    def _take(self, place: Place, home: Home, step: str, *, before: str | None, up: bool) -> None:
        count = (f"INSERT INTO ran VALUES ('{step}')", "UPDATE counter SET n = n + 1") if up else ()
        for statement in (*(UP if up else DOWN)[step], *count):
            try:
                place.run(statement)
            except (psycopg.Error, sqlite3.Error) as error:
                raise MigrationFailed(home=home, before=before, step=step, error=describe(error)) from error
        if self._stall and place.on_postgres:
            place.run(f"SELECT pg_sleep({self._stall})")

    def stamp(self, home: Home, target: str | None) -> Applied:
        with self.opened(home) as place:
            before = place.version()
            place.stamp(target)
            return Applied(before, target)

    def sql(self, home: Home, target: str | None) -> str:
        with self.opened(home) as place:
            return ";\n".join(line for step in self.steps(place.version(), target) for line in UP[step])

    @contextlib.contextmanager
    def opened(
        self, home: Home, *, pace: Pace | None = None, reading: bool = False, lent: Any = None
    ) -> Iterator[Place]:
        """Opens a home in one transaction of the owner's, in PostgreSQL's common database on a connection *lent*."""
        server = self._tenancy.servers.get(home.server)
        if isinstance(server, SqliteServer):
            names = {HomeKind.COMMON: COMMON, HomeKind.PLATFORM: PLATFORM}
            path = server.file(names.get(home.kind, home.physical))
            with in_file(str(path), home, pace or Pace(), reading=reading) as place:
                yield place
            return
        assert isinstance(server, PostgresServer)
        database = home.physical if home.kind is HomeKind.DATABASE else None
        own = server.owner(action="Migrating", database=database)
        with contextlib.nullcontext(lent) if lent and not database else own as connection, connection.transaction():
            schema = home.physical if home.kind is HomeKind.SCHEMA else "public"
            connection.execute(f"SET LOCAL search_path = {schema}")
            connection.execute(f"SET LOCAL lock_timeout = {round((pace or Pace()).lock_timeout * 1000)}")
            yield Place(connection, True, pace or Pace())


@dataclasses.dataclass
class Place:
    """An open home."""

    connection: Any
    on_postgres: bool
    pace: Pace

    def run(self, statement: str) -> Any:
        return self.connection.execute(statement)

    def lock(self, home: Home) -> None:
        if not self.on_postgres:
            return  # BEGIN IMMEDIATE has locked the file.
        key = int.from_bytes(hashlib.sha256(home.key.encode()).digest()[:8], signed=True)
        if not self.run(f"SELECT pg_try_advisory_xact_lock({key})").fetchone()[0]:
            raise HomeBusy(home=home, reason="its lock was not free", seconds=0)

    def version(self, table: str = "plain_version", column: str = "revision") -> str | None:
        looked = f"select 1 from sqlite_master where name = '{table}'"
        if self.on_postgres:
            looked = f"select to_regclass('{table}') where to_regclass('{table}') is not null"
        if self.run(looked).fetchone() is None:
            return None
        row = self.run(f"SELECT {column} FROM {table}").fetchone()
        return row[0] if row else None

    def stamp(self, target: str | None) -> None:
        self.run("CREATE TABLE IF NOT EXISTS plain_version (revision text NOT NULL)")
        self.run("DELETE FROM plain_version")
        if target is not None:
            self.run(f"INSERT INTO plain_version VALUES ('{target}')")

    def rows(self, statement: str) -> list[Any]:
        return [row[0] for row in self.run(statement).fetchall()]


@contextlib.contextmanager
def in_file(path: str, home: Home, pace: Pace, *, reading: bool) -> Iterator[Place]:
    """Opens an existing SQLite file in one transaction that holds its lock, unless it only reads."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=pace.lock_timeout)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise HomeBusy(home=home, reason="the file was locked", seconds=pace.lock_timeout) from error
        yield Place(connection, False, pace)
        connection.execute("COMMIT")


def rank(revision: str | None) -> int:
    return 0 if revision is None else REVISIONS.index(revision) + 1
