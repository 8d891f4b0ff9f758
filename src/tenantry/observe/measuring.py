"""How many rows one tenant has, and how much room they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Table, func, inspect, literal_column, select, text

from tenantry.isolation.sqlite import SqliteServer
from tenantry.models import Ownership, owned_tables
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation

_SCHEMA_SIZE: Final = text(
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :name AND c.relkind IN ('r', 'm')"
)
_DATABASE_SIZE: Final = text("SELECT pg_database_size(current_database())")


@dataclass(frozen=True, slots=True)
class Measured:
    """A tenant's rows, by table, and its size in bytes; *of* says what was weighed, and *size* is None where none was.

    The rows of common tables weigh what they hold, without indexes; a schema, a database or a file, all it takes.
    """

    rows: Mapping[str, int]
    size: int | None
    of: str


def measure(session: TenantSession, tables: Sequence[Table | type] | None = None) -> Measured:
    """Counts the rows of a session's tenant, in *tables* or in all, and weighs what it has."""
    tenancy: Tenancy = session.info["tenancy"]
    wanted = owned_tables(tenancy.metadata, Ownership.TENANT, Ownership.RECORD) if tables is None else _tables(tables)
    rows = {table.name: _count(session, table) for table in wanted}
    size, of = _size(session, tenancy)
    return Measured(rows, size, of)


def _tables(given: Sequence[Table | type]) -> list[Table]:
    return [each if isinstance(each, Table) else inspect(each).local_table for each in given]


def _count(session: TenantSession, table: Table) -> int:
    return session.execute(select(func.count()).select_from(table)).scalar_one()


def _size(session: TenantSession, tenancy: Tenancy) -> tuple[int | None, str]:
    tenant = session.tenant
    server = tenancy.servers.get(tenant.server)
    if isinstance(server, SqliteServer):
        if tenant.isolation is Isolation.ROWS:
            return None, "rows in a file with others'"
        return _file_size(server.file(tenant.physical)), "file"
    if tenant.isolation is Isolation.DATABASE:
        return session.execute(_DATABASE_SIZE).scalar_one(), "database"
    if tenant.isolation is Isolation.SCHEMA:
        return session.execute(_SCHEMA_SIZE, {"name": tenant.physical}).scalar_one(), "schema"
    tables = owned_tables(tenancy.metadata, Ownership.TENANT, Ownership.RECORD)
    return sum(_weight(session, table) for table in tables), "rows in common tables"


def _weight(session: TenantSession, table: Table) -> int:
    # The whole row, by the table's name.
    row: literal_column[int] = literal_column(table.alias("weighed").name)  # type: ignore[valid-type]  # a row, not a column
    question = select(func.coalesce(func.sum(func.pg_column_size(row)), 0)).select_from(table.alias("weighed"))
    return int(session.execute(question).scalar_one())


def _file_size(path: Path) -> int:
    beside = (path.with_name(path.name + suffix) for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in beside if file.exists())
