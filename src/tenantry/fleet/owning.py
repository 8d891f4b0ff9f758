"""The owner's connection to one home: of its own, never pooled, its names found in the home alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, NullPool, create_engine, event
from sqlalchemy.engine import URL, Engine

from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.operations import dialects
from tenantry.fleet.sites import Site
from tenantry.isolation.postgres import OWNER, PostgresServer
from tenantry.isolation.sqlite import COMMON, PLATFORM, SqliteServer
from tenantry.isolation.sqlite_library import LibraryConnection
from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.models import Ownership, owned_tables

_ACTION: Final = "Migrating"


def search_path(home: Home, server: PostgresServer) -> str:
    """Returns the PostgreSQL setting by which plain names find a home's tables and nobody else's."""
    if home.kind is HomeKind.SCHEMA:
        return f"search_path = {home.physical}, {EXTENSIONS_SCHEMA}, pg_temp"
    return server.common_path()


def owner_engine(site: Site) -> Engine:
    """Returns an engine without a pool on one home; each of its transactions begins on the home's search path.

    On SQLite each transaction is BEGIN IMMEDIATE, and foreign keys are off: ``operations`` checks them at its end.

    Raises: LoginRequired, FileNotFoundError for a file that is not there.
    """
    server = site.server
    if isinstance(server, PostgresServer):
        return _postgres_engine(site.home, server)
    return _sqlite_engine(site, file_of(site.home, server))


def in_autocommit(connection: Connection) -> bool:
    """Whether what an owner's connection to PostgreSQL is sent stands in no transaction."""
    # SQLAlchemy asks the server for the level, which knows of none.
    return bool(connection.connection.driver_connection.autocommit)  # type: ignore[union-attr]  # psycopg's


def file_of(home: Home, server: SqliteServer) -> Path:
    """Returns the SQLite file of a home."""
    names = {HomeKind.COMMON: COMMON, HomeKind.PLATFORM: PLATFORM}
    return server.file(names.get(home.kind, home.physical))


def _postgres_engine(home: Home, server: PostgresServer) -> Engine:
    database = home.physical if home.kind is HomeKind.DATABASE else None
    url = server.url(OWNER, action=_ACTION, database=database)
    engine = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool, hide_parameters=True)
    # Policies refuse the word, so that the owner sees no rows; in a tenant's own home all rows are that tenant's.
    context = f"{server.config.context_setting} = '{home.tenant or 'catalog'}'"
    settings = (context, search_path(home, server))

    def begin(connection: Connection) -> None:
        # In an autocommit block there is no transaction to be local to; the connection is this home's own.
        local = "" if in_autocommit(connection) else "LOCAL "
        for setting in settings:
            connection.exec_driver_sql(f"SET {local}{setting}")

    event.listen(engine, "begin", begin)
    return engine


def _sqlite_engine(site: Site, path: Path) -> Engine:
    if not path.exists():
        raise FileNotFoundError(f"the file of {site.home} is missing: {path}")
    arguments: dict[str, Any] = {"isolation_level": None, "factory": LibraryConnection, "timeout": 30.0}
    url = URL.create(f"sqlite+{dialects.COMMON if site.stored else dialects.FILE}", database=str(path))
    engine = create_engine(url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
    shared = owned_tables(site.server.metadata, Ownership.SHARED)
    if isinstance(engine.dialect, dialects.FileDialect):
        engine.dialect.shared = frozenset(table.name for table in shared)
    event.listen(engine, "connect", _keys_off)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _keys_off(connection: Any, _: object) -> None:
    # Only outside a transaction (SQLite, "ALTER TABLE", 7): a table that is made anew would take its children along.
    connection.execute("PRAGMA foreign_keys = OFF").close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
