"""The independent look: what really stands in the databases, seen past every wall, and its repair."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

PRISTINE = "leak_pristine"


@dataclass(frozen=True, slots=True)
class State:
    """A digest per table: of the rows that are not tenant A's, and of those that are."""

    foreign: dict[str, str]
    own: dict[str, str]


class Outside(Protocol):
    """Sees and repairs the databases of a world without going through the library.

    ``unmarked`` names tables whose rows do not say whose they are; they are repaired, but no change there is a leak.
    """

    remembered: State

    def remember(self) -> None:
        """Takes the present rows as the state that ``repair`` brings back."""

    def state(self) -> State:
        """Returns what stands in the tables now."""

    def repair(self) -> None:
        """Brings back the remembered rows."""

    def rows(self) -> list[str]:
        """Returns every row as text."""

    def tamper(self, table: str, column: str, canary: str) -> None:
        """Overwrites one value that holds *canary*, as a leak would."""

    def close(self) -> None: ...


@dataclass
class PostgresOutside:
    """Looks as superuser into the given databases: every table outside the system's schemas."""

    urls: list[str]
    own_tenant: uuid.UUID
    unmarked: tuple[str, ...] = ()
    connections: list[psycopg.Connection] = field(default_factory=list)
    tables: dict[int, list[tuple[sql.Identifier, str, bool]]] = field(default_factory=dict)
    queries: list[sql.Composed] = field(default_factory=list)
    remembered: State = field(default_factory=lambda: State({}, {}))

    def __post_init__(self) -> None:
        self.connections = [psycopg.connect(url, autocommit=True) for url in self.urls]
        for connection in self.connections:
            connection.execute("SET lock_timeout = '5s'")
            connection.execute("SET row_security = off")

    def remember(self) -> None:
        for number, connection in enumerate(self.connections):
            self.tables[number] = list(_tables(connection))
            connection.execute(f"DROP SCHEMA IF EXISTS {PRISTINE} CASCADE")
            connection.execute(f"CREATE SCHEMA {PRISTINE}")
            for place, (table, _, _) in enumerate(self.tables[number]):
                copy = sql.Identifier(PRISTINE, f"t{place}")
                connection.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(copy, table))
        self.queries = [self._query(number) for number in self.tables]
        self.remembered = self.state()

    def state(self) -> State:
        found = State({}, {})
        for connection, query in zip(self.connections, self.queries, strict=True):
            for own, name, digest in connection.execute(query).fetchall():
                (found.own if own else found.foreign)[name] = digest
        return found

    def repair(self) -> None:
        for number, connection in enumerate(self.connections):
            with connection.transaction():
                connection.execute("SET LOCAL session_replication_role = replica")
                for table, _, _ in self.tables[number]:
                    connection.execute(sql.SQL("DELETE FROM {}").format(table))
                for place, (table, _, _) in enumerate(self.tables[number]):
                    copy = sql.Identifier(PRISTINE, f"t{place}")
                    statement = sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE TABLE {}").format(table, copy)
                    connection.execute(statement)

    def rows(self) -> list[str]:
        return [
            text
            for number, connection in enumerate(self.connections)
            for table, _, _ in self.tables[number]
            for (text,) in connection.execute(sql.SQL("SELECT t::text FROM {} t").format(table)).fetchall()
        ]

    def tamper(self, table: str, column: str, canary: str) -> None:
        statement = sql.SQL("UPDATE {} SET {} = 'tampered' WHERE {} LIKE {}")
        names = sql.Identifier(column), sql.Identifier(column), sql.Literal(f"{canary}%0")
        for number, connection in enumerate(self.connections):
            for found, name, _ in self.tables[number]:
                if name.endswith(f".{table}"):
                    connection.execute(statement.format(found, *names))

    def catalog(self) -> list[Any]:
        """Returns the catalog's tenants."""
        return self.connections[0].execute("SELECT t::text FROM tenantry.tenants t ORDER BY 1").fetchall()

    def restore_catalog(self, rows: list[Any]) -> None:
        """Brings back the catalog's tenants, where they changed."""
        if self.catalog() != rows:
            with self.connections[0].transaction():
                self.connections[0].execute("SET LOCAL session_replication_role = replica")
                self.connections[0].execute("DELETE FROM tenantry.tenants")
                insert = "INSERT INTO tenantry.tenants SELECT (%s::tenantry.tenants).*"
                self.connections[0].cursor().executemany(insert, rows)

    def analyze(self) -> None:
        """Gathers statistics, as autovacuum does."""
        for connection in self.connections:
            connection.execute("ANALYZE")

    def kill(self, backend: int) -> None:
        """Ends a backend, as a restart or a DBA does, and waits until it is gone."""
        self.connections[0].execute("SELECT pg_terminate_backend(%s, 5000)", [backend])

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def _query(self, number: int) -> sql.Composed:
        parts = [
            _digest_of(f"{number}.{name}", table, self._owner(name, owned))
            for table, name, owned in self.tables[number]
        ]
        return sql.SQL(" UNION ALL ").join(parts)

    def _owner(self, name: str, owned: bool) -> sql.Composable:
        """Whether a row is tenant A's, as an expression."""
        if owned:
            return sql.SQL("t.tenant_id IS NOT DISTINCT FROM {}").format(sql.Literal(self.own_tenant))
        return sql.Literal(name.endswith(self.unmarked))


def _tables(connection: psycopg.Connection) -> Iterator[tuple[sql.Identifier, str, bool]]:
    rows = connection.execute(
        """SELECT n.nspname, c.relname, EXISTS (
             SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
             AND n.nspname NOT IN (%s, 'tenantry') ORDER BY 1, 2""",
        [PRISTINE],
    )
    for schema, table, owned in rows.fetchall():
        yield sql.Identifier(schema, table), f"{schema}.{table}", owned


def _digest_of(name: str, table: sql.Identifier, owner: sql.Composable) -> sql.Composed:
    return sql.SQL(
        "SELECT o.own, {}, count(t) || ' rows ' || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))"
        " FROM (VALUES (true), (false)) o (own) LEFT JOIN {} t ON ({}) = o.own GROUP BY o.own"
    ).format(sql.Literal(name), table, owner)


@dataclass
class SQLiteOutside:
    """Looks straight into the given files: every table, past views and authorizers."""

    files: list[Path]
    own_tenant: uuid.UUID
    unmarked: tuple[str, ...] = ()
    pristine: dict[tuple[Path, str], list[tuple[Any, ...]]] = field(default_factory=dict)
    remembered: State = field(default_factory=lambda: State({}, {}))

    def remember(self) -> None:
        self.pristine = {place: rows for place, (_, rows) in self._tables().items()}
        self.remembered = self.state()

    def state(self) -> State:
        found = State({}, {})
        for (file, table), (columns, rows) in self._tables().items():
            place = columns.index("tenant_id") if "tenant_id" in columns else None
            for own, digests in ((True, found.own), (False, found.foreign)):
                chosen = sorted(repr(row) for row in rows if self._is_own(table, row, place) is own)
                digests[f"{file.name}.{table}"] = f"{len(chosen)} rows {hash(tuple(chosen))}"
        return found

    def repair(self) -> None:
        for file in self.files:
            with closing(sqlite3.connect(file, timeout=5, isolation_level=None)) as connection:
                connection.execute("PRAGMA foreign_keys = OFF")
                connection.execute("BEGIN IMMEDIATE")
                tables = {table: rows for (where, table), rows in self.pristine.items() if where == file}
                for _ in "two passes, since a trigger on one table may write into another":
                    for table in tables:
                        connection.execute(f'DELETE FROM "{table}"')
                for table, rows in tables.items():
                    if rows:
                        marks = ", ".join("?" * len(rows[0]))
                        connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)
                connection.execute("COMMIT")

    def rows(self) -> list[str]:
        return [repr(row) for _, rows in self._tables().values() for row in rows]

    def tamper(self, table: str, column: str, canary: str) -> None:
        for file in self.files:
            with closing(sqlite3.connect(file, timeout=5)) as connection:
                for found, name in self._tables():
                    if found == file and name.removesuffix("__rows") == table:
                        where = f'"{column}" LIKE ?'
                        connection.execute(
                            f'UPDATE "{name}" SET "{column}" = \'tampered\' WHERE {where}', [f"{canary}%0"]
                        )
                connection.commit()

    def close(self) -> None:
        self.pristine = {}

    def _tables(self) -> dict[tuple[Path, str], tuple[list[str], list[tuple[Any, ...]]]]:
        found = {}
        for file in self.files:
            with closing(sqlite3.connect(file, timeout=5)) as connection:
                names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                for (table,) in names:
                    if not table.startswith("sqlite_"):
                        rows = connection.execute(f'SELECT * FROM "{table}"')
                        found[file, table] = [column[0] for column in rows.description], rows.fetchall()
        return found

    def _is_own(self, table: str, row: tuple[Any, ...], place: int | None) -> bool:
        if table in self.unmarked:
            return True
        tenant = self.own_tenant
        return place is not None and row[place] in (tenant.hex, str(tenant), tenant.bytes)
