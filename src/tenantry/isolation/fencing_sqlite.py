"""The fence around one tenant's place in an SQLite file: notes of changes, the one transaction, and the tombstone.

Nobody else writes to the file while one transaction does, so that transaction is the fence: the tenant's writers, and
in the common file those of its neighbours, wait for it as for each other.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, TypeDecorator, Uuid
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import TypeEngine

from tenantry.errors import FenceBusy, MoveRefused
from tenantry.isolation.binding import UNBOUND
from tenantry.isolation.fencing_names import CHANGES_TABLE, FENCE_TABLE, STORED_TRIGGER, TRIGGER
from tenantry.isolation.hooks import enter
from tenantry.isolation.sqlite import COMMON, SqliteServer
from tenantry.isolation.sqlite_stored import STORED_SUFFIX, quote
from tenantry.models import TENANT_COLUMN
from tenantry.types import Isolation, Tenant

_TABLES: Final = (
    f"CREATE TABLE IF NOT EXISTS {FENCE_TABLE} "
    "(tenant_id TEXT NOT NULL PRIMARY KEY, departed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    f"CREATE TABLE IF NOT EXISTS {CHANGES_TABLE} (number INTEGER NOT NULL PRIMARY KEY, tenant_id TEXT NOT NULL, "
    "relation TEXT NOT NULL, key TEXT NOT NULL)",
)
# Between two tries to write alone, in seconds.
_BETWEEN: Final = 0.001
_STANDS: Final = f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{FENCE_TABLE}'"
_WALLED: Final = (
    "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk > 0 "
    "AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) t WHERE t.name = ?) ORDER BY m.name, c.pk"
)
_TRIGGERS: Final = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, ?) = ?"
_OLDEST: Final = f"SELECT number FROM {CHANGES_TABLE} WHERE tenant_id = ? ORDER BY number LIMIT ?"
# Text, bytes, or anything that has no comma in it.
_LITERAL: Final = re.compile(r"X?'(?:[^']|'')*'|[^,]+")
_TAKEN: Final = f"DELETE FROM {CHANGES_TABLE} WHERE number IN ({_OLDEST}) RETURNING relation, key"


@dataclass(frozen=True, slots=True)
class _Noted:
    """A table whose changes are noted: where its rows stand, its plain name, and its own key columns."""

    stored: str
    name: str
    key: Sequence[str]


def prepare(server: SqliteServer, tenant: Tenant) -> None:
    """Has the file note what changes; the fence itself needs nothing."""
    with server.connection(_file_of(tenant)) as connection:
        for statement in _TABLES:
            connection.exec_driver_sql(statement)
        row = f"INSERT INTO {FENCE_TABLE} (tenant_id) VALUES (?) ON CONFLICT DO NOTHING"
        connection.exec_driver_sql(row, (tenant.id.hex,))
        for noted in _noted(connection, tenant):
            for statement in _note_statements(noted, tenant):
                connection.exec_driver_sql(statement)


def take_down(server: SqliteServer, tenant: Tenant, *, entirely: bool) -> None:
    """Takes the triggers and the notes away; the tombstone of a tenant that has left stays unless *entirely*."""
    if not server.file(_file_of(tenant)).exists():
        return
    with server.connection(_file_of(tenant)) as connection:
        if not _stands(connection):
            return
        prefix = _prefix(tenant)
        for name in connection.exec_driver_sql(_TRIGGERS, (len(prefix), prefix)).scalars().all():
            connection.exec_driver_sql(f"DROP TRIGGER {quote(name)}")
        connection.exec_driver_sql(f"DELETE FROM {CHANGES_TABLE} WHERE tenant_id = ?", (tenant.id.hex,))
        gone = "" if entirely else " AND NOT departed"
        connection.exec_driver_sql(f"DELETE FROM {FENCE_TABLE} WHERE tenant_id = ?{gone}", (tenant.id.hex,))
        if connection.exec_driver_sql(f"SELECT 1 FROM {FENCE_TABLE}").first() is None:
            for table in (FENCE_TABLE, CHANGES_TABLE):
                connection.exec_driver_sql(f"DROP TABLE {table}")


@contextlib.contextmanager
def closed(server: SqliteServer, tenant: Tenant, *, patience: float, departing: bool) -> Iterator[Connection]:
    """Yields the one transaction that writes to the file; the tenant has left with its end if it is *departing*."""
    with _alone(server, tenant, patience) as connection:
        if not _stands(connection):
            raise MoveRefused(tenant=tenant.id, reason="nothing was made ready there to hold its writers.")
        yield connection
        if departing:
            _mark(connection, tenant, departed=True)


@contextlib.contextmanager
def _alone(server: SqliteServer, tenant: Tenant, patience: float) -> Iterator[Connection]:
    file = _file_of(tenant)
    engine = server.library_engine(file, bounded=file != COMMON)
    with engine.connect() as connection, connection.begin():
        driver: Any = connection.connection.driver_connection
        (usual,) = driver.execute("PRAGMA busy_timeout").fetchone()
        # SQLite itself sleeps the longer the more often it came in vain, and would come last among many writers.
        driver.execute("PRAGMA busy_timeout = 0").close()
        try:
            _begin(connection, tenant, patience)
        finally:
            driver.execute(f"PRAGMA busy_timeout = {usual}").close()
        yield connection


def _begin(connection: Connection, tenant: Tenant, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            return enter(connection, UNBOUND)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() >= end:
                raise FenceBusy(tenant=tenant.id, seconds=patience) from error
        time.sleep(_BETWEEN)


@contextlib.contextmanager
def catching(server: SqliteServer, tenant: Tenant) -> Iterator[Connection]:
    """Yields a transaction in which changes can be taken out of the log and rows be read; others wait to write."""
    with server.connection(_file_of(tenant)) as connection:
        yield connection


def take_changes(
    connection: Connection, server: SqliteServer, tenant: Tenant, *, limit: int | None
) -> Mapping[str, set[tuple[str, ...]]]:
    """Takes the keys of changed rows out of the log, the oldest first."""
    found: dict[str, list[str]] = {}
    # Minus one is no limit.
    for relation, key in connection.exec_driver_sql(_TAKEN, (tenant.id.hex, -1 if limit is None else limit)):
        found.setdefault(relation, []).append(key)
    noted = {table.name: table for table in _noted(connection, tenant)}
    return {relation: set(_read_keys(keys, _identifiers(server, noted[relation]))) for relation, keys in found.items()}


def reopen(server: SqliteServer, tenant: Tenant) -> None:
    """Lets the tenant's sessions in again; its changes are still noted."""
    with server.connection(_file_of(tenant)) as connection:
        if _stands(connection):
            _mark(connection, tenant, departed=False)


def leave(connection: Connection, tenant: uuid.UUID) -> None:
    """Says in a file that is about to go that its tenant has left: who has it open still gets no row of it."""
    for statement in _TABLES:
        connection.exec_driver_sql(statement)
    row = f"INSERT INTO {FENCE_TABLE} (tenant_id, departed) VALUES (?, 1) ON CONFLICT DO UPDATE SET departed = 1"
    connection.exec_driver_sql(row, (tenant.hex,))


def fences(server: SqliteServer, tenant: Tenant | None) -> list[tuple[uuid.UUID, str, bool]]:
    """Returns who has a fence or a tombstone in the common file or a tenant's, where, and whether it left."""
    file = _file_of(tenant) if tenant else COMMON
    if not server.file(file).exists():
        return []
    with server.connection(file) as connection:
        if not _stands(connection):
            return []
        rows = connection.exec_driver_sql(f"SELECT tenant_id, departed FROM {FENCE_TABLE} ORDER BY tenant_id")
        return [(uuid.UUID(found), file, bool(departed)) for found, departed in rows]


def _file_of(tenant: Tenant) -> str:
    return COMMON if tenant.isolation is Isolation.ROWS else tenant.physical


def _stands(connection: Connection) -> bool:
    return connection.exec_driver_sql(_STANDS).first() is not None


def _mark(connection: Connection, tenant: Tenant, *, departed: bool) -> None:
    statement = f"UPDATE {FENCE_TABLE} SET departed = ? WHERE tenant_id = ?"
    connection.exec_driver_sql(statement, (int(departed), tenant.id.hex))


def _prefix(tenant: Tenant) -> str:
    """Returns how the names of a tenant's triggers begin."""
    return f"{STORED_TRIGGER if tenant.isolation is Isolation.ROWS else TRIGGER}{tenant.id.hex}_"


def _noted(connection: Connection, tenant: Tenant) -> list[_Noted]:
    suffix = STORED_SUFFIX if tenant.isolation is Isolation.ROWS else ""
    keys: dict[str, list[str]] = {}
    for table, column in connection.exec_driver_sql(_WALLED, (TENANT_COLUMN,)):
        if table.endswith(suffix) and table not in (FENCE_TABLE, CHANGES_TABLE):
            keys.setdefault(table, []).append(column)
    return [
        _Noted(table, table.removesuffix(suffix), [column for column in columns if column != TENANT_COLUMN])
        for table, columns in keys.items()
    ]


def _note_statements(noted: _Noted, tenant: Tenant) -> Iterator[str]:
    own = f"{TENANT_COLUMN} = '{tenant.id.hex}'"
    meant = {"INSERT": f"NEW.{own}", "UPDATE": f"OLD.{own} OR NEW.{own}", "DELETE": f"OLD.{own}"}
    sides = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
    relation = "'" + noted.name.replace("'", "''") + "'"
    for event, condition in meant.items():
        rows = ", ".join(f"('{tenant.id.hex}', {relation}, {_written(noted.key, side)})" for side in sides[event])
        yield (
            f"CREATE TRIGGER IF NOT EXISTS {quote(f'{_prefix(tenant)}{noted.name}_{event.lower()}')} "
            f"AFTER {event} ON {quote(noted.stored)} WHEN {condition} "
            f"BEGIN INSERT INTO {CHANGES_TABLE} (tenant_id, relation, key) VALUES {rows}; END"
        )


def _written(key: Sequence[str], side: str) -> str:
    # Every value as SQL would write it: nothing is lost, whatever it is. No function of JSON may run in a trigger.
    return " || ',' || ".join(f"quote({side}.{quote(column)})" for column in key) or "''"


def _read_keys(keys: Sequence[str], identifiers: Sequence[bool]) -> Iterator[tuple[str, ...]]:
    for key in set(keys):
        yield tuple(
            str(uuid.UUID(value)) if identifier else value
            for value, identifier in zip(map(_read, _LITERAL.findall(key)), identifiers, strict=True)
        )


def _read(literal: str) -> str:
    if literal.startswith("'"):
        return literal[1:-1].replace("''", "'")
    if literal.startswith("X'"):
        return f"\\x{literal[2:-1].lower()}"
    return literal


def _identifiers(server: SqliteServer, noted: _Noted) -> list[bool]:
    """Says of each key column whether its text is stored as a UUID without hyphens."""
    table = server.metadata.tables.get(noted.name)
    return [table is not None and column in table.c and _is_uuid(table.c[column].type) for column in noted.key]


def _is_uuid(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind.impl if isinstance(kind, TypeDecorator) else kind, Uuid)
