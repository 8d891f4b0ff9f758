"""What the tables of an SQLite file look like, against what the models and the wall expect."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import MetaData, Table

from tenantry.doctor.placements import Census
from tenantry.isolation.fencing_names import FENCE_TABLE, is_of_fence
from tenantry.isolation.searching import plan_of
from tenantry.isolation.searching_sqlite import (
    TABLES,
    has_engine,
    is_whole,
    put_up_statements,
    stands,
    tables_of_searches,
)
from tenantry.isolation.sqlite_stored import (
    quote,
    stored_ddl,
    stored_name,
    walled_tables,
)
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.models import TENANT_COLUMN, is_append_only, is_walled
from tenantry.models.append_only import append_only_triggers, trigger_names
from tenantry.types import Finding, Isolation

Shape = dict[tuple[str, str], object]

_REINSTALL: Final = "Bring the file to what the models say with a migration; it must not be changed by hand."


def judge_own(
    path: Path, connection: sqlite3.Connection, *, tables: Sequence[Table], resident: uuid.UUID
) -> Iterator[Finding]:
    """Yields what is wrong with the tables of a tenant's own file."""
    names = _names(connection)
    wanted = {table.name for table in tables}
    if missing := sorted(wanted - names):
        yield Finding("D311", str(path), f"It lacks {', '.join(missing)}.", "Run the migrations for this placement.")
    if unknown := sorted(name for name in names - wanted if not _keeps_books(name)):
        message = f"The models do not know {', '.join(unknown)}, so nobody copies or moves what they hold."
        yield Finding("D310", str(path), message, "Declare them in the models, or drop them.")
    for table in tables:
        if is_walled(table) and table.name in names:
            yield from _judge_keys(path, connection, table.name)
            yield from _judge_strangers(path, connection, table.name, resident)
            yield from _judge_kept(path, connection, table)
            yield from _judge_search(path, connection, table)


def judge_common(
    path: Path, connection: sqlite3.Connection, *, metadata: MetaData, census: Census
) -> Iterator[Finding]:
    """Yields what in the common file does not fit its wall, and rows of tenants that do not live there."""
    reference = sqlite3.connect(":memory:")
    reference.executescript(";\n".join(stored_ddl(metadata)))
    wanted, found = _shape(reference), _shape(connection)
    reference.close()
    for kind, name in sorted(wanted.keys() - found.keys()):
        yield Finding("D806", f"{path}: {name}", f"The {kind} is missing.", _REINSTALL)
    for kind, name in sorted(found.keys() - wanted.keys()):
        if not _keeps_books(name):
            message = f"The wall does not know this {kind}, so nothing decides whose its rows are."
            yield Finding("D806", f"{path}: {name}", message, f"DROP {kind.upper()} {quote(name)};")
    for kind, name in sorted(wanted.keys() & found.keys()):
        if wanted[kind, name] != found[kind, name]:
            yield Finding("D806", f"{path}: {name}", f"The {kind} differs from what the wall expects.", _REINSTALL)
    for table in walled_tables(metadata):
        if ("table", stored_name(table)) in found:
            yield from _judge_keys(path, connection, stored_name(table))
            yield from _judge_residents(path, connection, stored_name(table), census)


def _keeps_books(name: str) -> bool:
    return name == VERSION_TABLE or is_of_fence(name)


def _judge_kept(path: Path, connection: sqlite3.Connection, table: Table) -> Iterator[Finding]:
    question = "SELECT sql FROM sqlite_schema WHERE type = 'trigger'"
    standing = {sql for (sql,) in connection.execute(question)}
    wanted = append_only_triggers(table.name) if is_append_only(table) else []
    if not standing.issuperset(wanted):
        message = "It is append-only, and what refuses changes of its rows is missing or altered."
        dropped = [f"DROP TRIGGER IF EXISTS {quote(name)}" for name in trigger_names(table.name)]
        fix = "; ".join([*dropped, *wanted])
        yield Finding("D313", f"{path}: {table.name}", message, f"{fix};")


def _judge_search(path: Path, connection: sqlite3.Connection, table: Table) -> Iterator[Finding]:
    if plan_of(table) is None or not has_engine():
        return
    ready = stands(connection.execute, table)
    if not ready or not is_whole(connection.execute, table):
        message = "It is searched, and its index or what keeps that is missing, is another, or does not know every row."
        fix = f"{'; '.join(put_up_statements(table))};" if ready else "Run the migrations for this placement."
        yield Finding("D509", f"{path}: {table.name}", message, fix)


def _names(connection: sqlite3.Connection) -> set[str]:
    found = connection.execute(TABLES).fetchall()
    return {name for name, _ in found} - tables_of_searches(found)


def _shape(connection: sqlite3.Connection) -> Shape:
    """Returns tables with their columns, and triggers and views with their text; indexes are judged as keys."""
    question = (
        "SELECT type, name, sql FROM sqlite_schema WHERE type <> 'index' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    )
    return {
        (kind, name): _columns(connection, name) if kind == "table" else " ".join(str(sql).split())
        for kind, name, sql in connection.execute(question).fetchall()
    }


def _columns(connection: sqlite3.Connection, table: str) -> list[tuple[str, int]]:
    rows = connection.execute(f"PRAGMA table_xinfo({quote(table)})")
    return sorted((str(row[1]), int(row[5])) for row in rows)


def _judge_keys(path: Path, connection: sqlite3.Connection, table: str) -> Iterator[Finding]:
    key = [name for name, position in sorted(_columns(connection, table), key=lambda pair: pair[1]) if position]
    if not key or key[0] != TENANT_COLUMN:
        message = f"Its primary key is ({', '.join(key)}); the tenant does not come first."
        yield Finding("D402", f"{path}: {table}", message, _REINSTALL)
    for _, index, unique, origin, *_ in connection.execute(f"PRAGMA index_list({quote(table)})").fetchall():
        columns = [row[2] for row in connection.execute(f"PRAGMA index_info({quote(index)})")]
        if unique and origin != "pk" and TENANT_COLUMN not in columns:
            message = "Its violation tells one tenant of another's row."
            yield Finding("D403", f"{path}: {table}.{index}", message, f"Put {TENANT_COLUMN} first in it.")
    for target, pairs in _foreign_keys(connection, table).items():
        if (TENANT_COLUMN, TENANT_COLUMN) not in pairs and TENANT_COLUMN in dict(_columns(connection, target[1])):
            message = f"A row may refer to another tenant's row of {target[1]}."
            yield Finding("D401", f"{path}: {table}", message, _REINSTALL)


def _foreign_keys(connection: sqlite3.Connection, table: str) -> dict[tuple[int, str], list[tuple[str, str]]]:
    found: dict[tuple[int, str], list[tuple[str, str]]] = {}
    for number, _, target, own, other, *_ in connection.execute(f"PRAGMA foreign_key_list({quote(table)})"):
        found.setdefault((number, target), []).append((own, other))
    return found


def _judge_strangers(path: Path, connection: sqlite3.Connection, table: str, resident: uuid.UUID) -> Iterator[Finding]:
    question = f"SELECT min({TENANT_COLUMN}), max({TENANT_COLUMN}) FROM {quote(table)}"
    strangers = {value for value in connection.execute(question).fetchone() if value not in (None, resident.hex)}
    if strangers:
        message = f"It holds rows of {', '.join(sorted(map(str, strangers)))}."
        fix = "Find out how they came here before anything is deleted; a session of Tenancy cannot write them."
        yield Finding("D807", f"{path}: {table}", message, fix)


def _judge_residents(path: Path, connection: sqlite3.Connection, table: str, census: Census) -> Iterator[Finding]:
    if census.tenants is None:
        return
    here = {tenant.id.hex for tenant in census.tenants if tenant.isolation is Isolation.ROWS}
    for resident in sorted(_residents(connection, table) - here - _fenced(connection)):
        message = f"It holds rows of {resident}, and no tenant of that identifier has its rows here."
        fix = f"DELETE FROM {quote(table)} WHERE {TENANT_COLUMN} = '{resident}'; after a look at what they are."
        yield Finding("D601", f"{path}: {table}", message, fix)


def _fenced(connection: sqlite3.Connection) -> set[str]:
    """Returns the tenants whose rows a move keeps until it is final."""
    if FENCE_TABLE not in _names(connection):
        return set()
    return {tenant for (tenant,) in connection.execute(f"SELECT tenant_id FROM {FENCE_TABLE}")}


def _residents(connection: sqlite3.Connection, table: str) -> set[str]:
    # One step of the primary key's index per tenant, not one per row.
    question = (
        f"WITH RECURSIVE found(tenant) AS (SELECT min({TENANT_COLUMN}) FROM {quote(table)} UNION ALL "
        f"SELECT (SELECT min({TENANT_COLUMN}) FROM {quote(table)} WHERE {TENANT_COLUMN} > tenant) FROM found "
        "WHERE tenant IS NOT NULL) SELECT tenant FROM found WHERE tenant IS NOT NULL"
    )
    return {str(tenant) for (tenant,) in connection.execute(question)}
