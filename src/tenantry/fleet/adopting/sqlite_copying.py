"""Rows of an old SQLite file brought to where each tenant's rows live now: a file of its own, or the common file."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Table

from tenantry.fleet.adopting.expressions import SAYS, Expressions
from tenantry.fleet.adopting.sqlite_files import COPYING, FRESH, MAPPING, STALE, OldFile, rows_of, transaction
from tenantry.isolation.servers import Servers
from tenantry.isolation.sqlite import COMMON, PLATFORM, SqliteServer
from tenantry.isolation.sqlite_stored import quote, stored_name
from tenantry.models import TENANT_COLUMN, Ownership, owned_tables, ownership
from tenantry.types import Isolation

_HOME: Final = "home"
_SNAPSHOT: Final = "tenantry_snapshot_"


@dataclass(frozen=True)
class Copier:
    """Copies the rows of one old file to the homes of its tenants."""

    old: OldFile
    servers: Servers
    server: SqliteServer
    isolation: Isolation
    head: str | None
    say: Callable[..., None]

    def copy_platform(self) -> None:
        """Makes the platform's tables, and the master copies of Shared ones, what the old file has."""
        expressions = self.old.expressions()
        tables = owned_tables(self.server.metadata, Ownership.PLATFORM, Ownership.SHARED)
        standing = [table for table in tables if table.name in expressions.shapes]
        self.say("platform")
        with self.old.opened() as old, _attached(old, self.server.file(PLATFORM)), transaction(old):
            old.execute("PRAGMA defer_foreign_keys = ON")
            for table in reversed(tables):
                old.execute(f"DELETE FROM {_HOME}.{quote(table.name)}")
            for table in standing:
                columns = _listed(table, expressions)
                chosen = f"SELECT {columns} FROM {expressions.place(table.name)}"
                old.execute(f"INSERT INTO {_HOME}.{quote(table.name)} ({columns}) {chosen}")

    def clear_platform(self) -> None:
        """Empties them again."""
        with self.server.connection(PLATFORM) as connection:
            for table in reversed(owned_tables(self.server.metadata, Ownership.PLATFORM, Ownership.SHARED)):
                connection.execute(table.delete())

    def copy_stale(self) -> None:
        """Brings the copy of every tenant up to date whose rows were written since it was made."""
        with self.old.writing() as connection:
            connection.execute(f"UPDATE {MAPPING} SET fresh = {COPYING} WHERE fresh = {STALE}")
        with self.old.opened() as connection:
            chosen = f"SELECT value, tenant FROM {MAPPING} WHERE fresh = {COPYING} ORDER BY tenant"
            stale = [(value, uuid.UUID(tenant)) for value, tenant in rows_of(connection, chosen)]
            if not stale:
                return
            expressions = self.old.expressions()
            _take_snapshot(connection, expressions)
            self._make_room([tenant for _, tenant in stale])
            for done, (value, tenant) in enumerate(stale, 1):
                self.say("tenant", tenant=tenant, done=done, total=len(stale))
                self._copy(connection, expressions, value, tenant)
                with transaction(connection, "IMMEDIATE"):
                    row = (FRESH, value, COPYING)
                    connection.execute(f"UPDATE {MAPPING} SET fresh = ? WHERE value = ? AND fresh = ?", row)

    def mark_differing(self) -> int:
        """Marks the copies that have not as many rows as the old file says, and returns how many there are."""
        expressions, differing = self.old.expressions(), []
        with self.old.opened() as connection:
            _take_snapshot(connection, expressions)
            for value, tenant in rows_of(connection, f"SELECT value, tenant FROM {MAPPING}"):
                if self._differs(connection, expressions, value, uuid.UUID(tenant)):
                    differing.append(value)
        with self.old.writing() as connection:
            for value in differing:
                connection.execute(f"UPDATE {MAPPING} SET fresh = {STALE} WHERE value = ?", (value,))
        return len(differing)

    def remove(self, tenant: uuid.UUID) -> None:
        """Removes the copy of one tenant."""
        if self.isolation is Isolation.DATABASE:
            self.server.remove_file(self._physical(tenant))
            return
        with self.server.connection(COMMON) as connection:
            for table in reversed(owned_tables(self.server.metadata, Ownership.TENANT, Ownership.RECORD)):
                mine = f"{quote(TENANT_COLUMN)} = ?"
                connection.exec_driver_sql(f"DELETE FROM {quote(stored_name(table))} WHERE {mine}", (tenant.hex,))

    def home_of(self, tenant: uuid.UUID) -> Path:
        """Returns the file to which a tenant's rows are copied."""
        own = self.isolation is Isolation.DATABASE
        return self.server.file(self._physical(tenant)) if own else self.server.common_file

    def _make_room(self, tenants: list[uuid.UUID]) -> None:
        """Removes copies that are no longer right before the Shared rows change to which they refer."""
        for tenant in tenants:
            self.remove(tenant)
        if self.isolation is Isolation.ROWS:
            self.server.publish_shared()
            return
        strategy = self.servers.strategy(self.server.name, Isolation.DATABASE)
        for tenant in tenants:
            strategy.create(tenant, head=self.head)

    def _copy(self, connection: sqlite3.Connection, expressions: Expressions, value: str, tenant: uuid.UUID) -> None:
        with _attached(connection, self.home_of(tenant)), transaction(connection):
            connection.execute("PRAGMA defer_foreign_keys = ON")
            for table in expressions.walled:
                columns, given = _listed(table, expressions), [TENANT_COLUMN]
                if ownership(table) is Ownership.RECORD:
                    given.append("id")
                into = f"{_HOME}.{quote(self._stored(table))} ({', '.join([*map(quote, given), columns])})"
                chosen = f"SELECT {', '.join(['?'] * len(given))}, {columns} FROM temp.{_snapshot(table)}"
                values = (*([tenant.hex] * len(given)), value)
                connection.execute(f"INSERT INTO {into} {chosen} WHERE {SAYS} = ?", values)

    def _differs(self, connection: sqlite3.Connection, expressions: Expressions, value: str, tenant: uuid.UUID) -> bool:
        if not self.home_of(tenant).exists():
            return True
        with _attached(connection, self.home_of(tenant)):
            return any(self._count_differs(connection, table, value, tenant) for table in expressions.walled)

    def _count_differs(self, connection: sqlite3.Connection, table: Table, value: str, tenant: uuid.UUID) -> bool:
        said = f"SELECT count(*) FROM temp.{_snapshot(table)} WHERE {SAYS} = ?"
        copied = f"SELECT count(*) FROM {_HOME}.{quote(self._stored(table))} WHERE {quote(TENANT_COLUMN)} = ?"
        return rows_of(connection, said, value) != rows_of(connection, copied, tenant.hex)

    def _physical(self, tenant: uuid.UUID) -> str:
        return self.servers.strategy(self.server.name, Isolation.DATABASE).place(tenant)

    def _stored(self, table: Table) -> str:
        return table.name if self.isolation is Isolation.DATABASE else stored_name(table)


def _take_snapshot(connection: sqlite3.Connection, expressions: Expressions) -> None:
    """Reads every tenant's table once, in one transaction, so that rows that belong together stay together."""
    with transaction(connection):
        for table in expressions.walled:
            said = expressions.said(table.name)
            connection.execute(f"CREATE TEMP TABLE {_snapshot(table)} AS SELECT * FROM {said} AS q")
    for table in expressions.walled:
        index = quote(f"{_SNAPSHOT}ix_{table.name}")
        connection.execute(f"CREATE INDEX temp.{index} ON {_snapshot(table)} ({SAYS})")


def _snapshot(table: Table) -> str:
    return quote(f"{_SNAPSHOT}{table.name}")


def _listed(table: Table, expressions: Expressions) -> str:
    then = expressions.shapes[table.name].then
    return ", ".join(
        quote(column.name) for column in table.columns if _is_copied(table, column.name) and column.name in then
    )


def _is_copied(table: Table, column: str) -> bool:
    return not (ownership(table) in (Ownership.TENANT, Ownership.RECORD) and column == TENANT_COLUMN)


@contextlib.contextmanager
def _attached(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    connection.execute(f"ATTACH ? AS {_HOME}", (f"{path.absolute().as_uri()}?mode=rw",))
    try:
        yield
    finally:
        connection.execute(f"DETACH {_HOME}")
