"""What deleted rows leave in a database's own files: SQLite's free pages and log, PostgreSQL's column statistics."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

from tenantry.catalog.tables import CATALOG_SCHEMA, metadata
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.searching_sqlite import TABLES, rebuild_statement, searched_tables
from tenantry.isolation.sqlite import CATALOG, COMMON, SqliteServer
from tenantry.isolation.sqlite_library import LibraryConnection
from tenantry.isolation.wall import quote
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant

_ACTION: Final = "Scrubbing after an erase"
# How long readers of an older state of a file are waited for.
_PATIENCE: Final = 30.0
_CLEARING_SINCE: Final = 180_000


def scrub(tenancy: Tenancy, tenant: Tenant, tables: Collection[str]) -> dict[str, int]:
    """Has the databases let go of deleted rows, and returns what it could not reach, which is nothing as a rule."""
    server = tenancy.servers.get(tenant.server)
    left = _scrub_files(list(_files_of(server, tenant))) if isinstance(server, SqliteServer) else {}
    if isinstance(server, PostgresServer) and tables:
        database = tenant.physical if tenant.isolation is Isolation.DATABASE else None
        schema = tenant.physical if tenant.isolation is Isolation.SCHEMA else server.config.common_schema
        _count_anew(server, schema, tables, database=database)
    main = tenancy.servers.main
    if isinstance(main, SqliteServer):
        return left | _scrub_files([main.file(CATALOG)])
    _count_anew(main, CATALOG_SCHEMA, [table.name for table in metadata.sorted_tables])
    return left


def _files_of(server: SqliteServer, tenant: Tenant) -> Iterator[Path]:
    """Yields the file in which a tenant's rows stand, if it does."""
    path = server.file(COMMON if tenant.isolation is Isolation.ROWS else tenant.physical)
    if path.exists():
        yield path


def _scrub_files(paths: list[Path]) -> dict[str, int]:
    left = {}
    for path in paths:
        with contextlib.closing(_connect(path)) as connection:
            for table in searched_tables(connection.execute(TABLES).fetchall()):
                # An index keeps deleted words until its parts are put together.
                connection.execute(rebuild_statement(table))
            # Rewritten, the file has no free page and no gap in a page; shortened, its log has nothing.
            connection.execute("VACUUM")
            if not _shorten(connection):
                left[f"write-ahead log of {path.name}"] = 1
    return left


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, factory=LibraryConnection)


def _shorten(connection: sqlite3.Connection) -> bool:
    end = time.monotonic() + _PATIENCE
    while True:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy or time.monotonic() > end:
            return not busy
        time.sleep(0.05)


def _count_anew(server: PostgresServer, schema: str, tables: Collection[str], *, database: str | None = None) -> None:
    """Has the planner count anew: its most common values of a column are rows' own."""
    with server.owner(action=_ACTION, database=database) as connection:
        for name in sorted(tables):
            if _stands(connection, schema, name):
                _clear(connection, schema, name)
                connection.execute(f"ANALYZE {quote(schema)}.{quote(name)}")


def _stands(connection: Any, schema: str, name: str) -> bool:
    question = "select to_regclass(%s)"
    return connection.execute(question, (f"{quote(schema)}.{quote(name)}",)).fetchone()[0] is not None


def _clear(connection: Any, schema: str, name: str) -> None:
    """Drops what is known of an empty table's columns, which counting anew would leave."""
    if connection.info.server_version < _CLEARING_SINCE:
        return
    # Not by pg_stats, which shows the owner nothing of a table that has a wall.
    connection.execute(
        "select pg_clear_attribute_stats(%(schema)s, %(name)s, a.attname::text, inherited) "
        "from pg_attribute a, (values (false), (true)) as kinds(inherited) "
        "where a.attrelid = to_regclass(%(table)s) and a.attnum > 0 and not a.attisdropped",
        {"schema": schema, "name": name, "table": f"{quote(schema)}.{quote(name)}"},
    )
