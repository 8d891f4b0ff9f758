"""The independent look: what really stands in the databases, seen past every wall, and its repair."""

from __future__ import annotations

import hashlib
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


class Outside(Protocol):
    """Sees and repairs the databases of a world without going through the library.

    ``unmarked`` names tables whose rows do not say whose they are; they are repaired, but no change there is a leak.
    """

    def remember(self) -> None:
        """Takes the present rows as the state that ``repair`` brings back."""

    def foreign(self) -> dict[str, str]:
        """Returns a digest per table of every row that is not tenant A's."""

    def own(self) -> dict[str, str]:
        """Returns a digest per table of tenant A's rows."""

    def repair(self) -> None:
        """Brings back the remembered rows."""

    def holds(self, text: str) -> bool:
        """Says whether any remembered table holds *text*."""

    def close(self) -> None: ...


@dataclass
class PostgresOutside:
    """Looks as superuser into the given databases: every table outside the system's schemas."""

    urls: list[str]
    own_tenant: uuid.UUID
    unmarked: tuple[str, ...] = ()
    connections: list[psycopg.Connection] = field(default_factory=list)
    tables: dict[int, list[tuple[sql.Identifier, str, bool]]] = field(default_factory=dict)

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

    def foreign(self) -> dict[str, str]:
        return self._digests("IS DISTINCT FROM", whole=True)

    def own(self) -> dict[str, str]:
        return self._digests("=", whole=False)

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

    def holds(self, text: str) -> bool:
        found = sql.SQL("SELECT EXISTS (SELECT FROM {} t WHERE t::text LIKE {})")
        return any(
            connection.execute(found.format(table, sql.Literal(f"%{text}%"))).fetchone()[0]
            for number, connection in enumerate(self.connections)
            for table, _, _ in self.tables[number]
        )

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

    def _digests(self, comparison: str, *, whole: bool) -> dict[str, str]:
        found: dict[str, str] = {}
        for number, connection in enumerate(self.connections):
            parts = [
                _digest_of(f"{number}.{name}", table, comparison if owned else None, self.own_tenant)
                for table, name, owned in self.tables[number]
                if owned or whole is not name.endswith(self.unmarked)
            ]
            if parts:
                found.update(connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall())
        return found


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


def _digest_of(name: str, table: sql.Identifier, comparison: str | None, tenant: uuid.UUID) -> sql.Composed:
    where = sql.SQL(f"WHERE tenant_id {comparison} {{}}").format(sql.Literal(tenant)) if comparison else sql.SQL("")
    return sql.SQL(
        "SELECT {}, count(*) || ' rows ' || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t {}"
    ).format(sql.Literal(name), table, where)


@dataclass
class SQLiteOutside:
    """Looks straight into the given files: every table, past views and authorizers."""

    files: list[Path]
    own_tenant: uuid.UUID
    unmarked: tuple[str, ...] = ()
    pristine: dict[tuple[Path, str], list[tuple[Any, ...]]] = field(default_factory=dict)

    def remember(self) -> None:
        self.pristine = self._rows()

    def foreign(self) -> dict[str, str]:
        return self._digests(own=False)

    def own(self) -> dict[str, str]:
        return self._digests(own=True)

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

    def holds(self, text: str) -> bool:
        return any(text in repr(row) for rows in self.pristine.values() for row in rows)

    def close(self) -> None:
        self.pristine = {}

    def _rows(self) -> dict[tuple[Path, str], list[tuple[Any, ...]]]:
        return {place: rows for place, (_, rows) in self._tables().items()}

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

    def _digests(self, *, own: bool) -> dict[str, str]:
        found = {}
        for (file, table), (columns, rows) in self._tables().items():
            place = columns.index("tenant_id") if "tenant_id" in columns else None
            chosen = sorted(repr(row) for row in rows if self._is_own(table, row, place) is own)
            digest = hashlib.sha256("|".join(chosen).encode()).hexdigest()
            found[f"{file.name}.{table}"] = f"{len(chosen)} rows {digest}"
        return found

    def _is_own(self, table: str, row: tuple[Any, ...], place: int | None) -> bool:
        if table in self.unmarked:
            return True
        tenant = self.own_tenant
        return place is not None and row[place] in (tenant.hex, str(tenant), tenant.bytes)
