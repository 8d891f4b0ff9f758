"""What ``install()`` does to each server, and the same as a script for a DBA."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import MetaData, Table

from tenantry.catalog.records import note_server
from tenantry.catalog.upgrades import VERSION_QUESTION, check_upgradable, postgres_statements, upgrade_sqlite
from tenantry.errors import ModelsRefused
from tenantry.isolation.control import Control
from tenantry.isolation.ddl import create_statements
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.searching import search_statements
from tenantry.isolation.servers import MAIN, Server, Servers
from tenantry.isolation.sqlite import CATALOG, SqliteServer
from tenantry.isolation.stamps import VERSION_TABLE, stamp_statements
from tenantry.isolation.wall import (
    Capabilities,
    closed_roles,
    database_statements,
    role_statements,
    table_statements,
)
from tenantry.models import is_walled, lift, lint, owned_tables
from tenantry.provision.heads import Scripts

_ACTION = "Installing"

_UNKEYED = """
select c.relname from pg_class c
where c.relnamespace = to_regnamespace(%s) and c.relname = any(%s) and not exists(
    select 1 from pg_constraint k join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
    where k.conrelid = c.oid and k.contype = 'p' and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype)
"""


def check_models(metadata: MetaData) -> None:
    """Lets models pass that can be walled.

    Raises: ModelsRefused with all that cannot, and the fix for each.
    """
    lift(metadata)
    findings = lint(metadata)
    if findings:
        raise ModelsRefused(findings=findings)


def install(servers: Servers, control: Control, scripts: Scripts, *, create_tables: bool) -> None:
    """Brings every server to where sessions can be opened; doing it again, or twice at once, is safe.

    Raises: ModelsRefused, LoginRequired, CatalogVersionMismatch, and as ``Scripts.head`` where tables are made.
    """
    for server in servers.all():
        if isinstance(server, PostgresServer):
            _install_postgres(server, scripts, create_tables=create_tables)
        else:
            _install_sqlite(server, scripts)
    with control.manage(_ACTION) as connection:
        for server in servers.all():
            note_server(connection, name=server.name, kind=server.kind, location=server.location)


def script(server: Server, scripts: Scripts, *, create_tables: bool) -> list[str]:
    """Returns the statements that ``install()`` would run on a PostgreSQL server, for a DBA to read and run."""
    if isinstance(server, SqliteServer):
        return []
    capabilities = server.capabilities()
    roles = role_statements(server.config, capabilities)
    return [*roles, *_database_script(server, capabilities, scripts, create_tables=create_tables)]


def _install_postgres(server: PostgresServer, scripts: Scripts, *, create_tables: bool) -> None:
    capabilities = server.capabilities()
    server.run_each(role_statements(server.config, capabilities), action=_ACTION)
    server.run(_database_script(server, capabilities, scripts, create_tables=create_tables), action=_ACTION)


def _database_script(
    server: PostgresServer, capabilities: Capabilities, scripts: Scripts, *, create_tables: bool
) -> Iterator[str]:
    # Yielded one by one: what is missing is asked when run() has the lock and another install has ended.
    yield from database_statements(server.config, server.database)
    if server.name == MAIN:
        check_upgradable(_catalog_version(server))
        yield from postgres_statements(server.config)
    yield f"SET LOCAL {server.common_path()}"
    if create_tables:
        yield from _creation(server, scripts)
    yield from _walls(server, capabilities, _present(server, create_tables))


def _catalog_version(server: PostgresServer) -> int | None:
    presence, question = VERSION_QUESTION
    with server.owner(action=_ACTION) as connection:
        present = connection.execute(presence).fetchone()[0]
        return connection.execute(question).fetchone()[0] if present else None


def _creation(server: PostgresServer, scripts: Scripts) -> Iterable[str]:
    present, tables = server.present_tables(), owned_tables(server.metadata)
    missing = [table for table in tables if table.fullname not in present]
    new = len(missing) == len(tables) and VERSION_TABLE not in present
    # Beside tables from elsewhere nobody knows at which revision the home stands.
    stamp = stamp_statements(scripts.head(), closed_to=closed_roles(server.config)) if new else []
    return [*create_statements(server.metadata, missing, "postgresql"), *stamp]


def _present(server: PostgresServer, create_tables: bool) -> list[Table]:
    unkeyed = _unkeyed(server)
    tables = [table for table in owned_tables(server.metadata) if table.fullname not in unkeyed]
    if create_tables:
        return tables
    present = server.present_tables()
    return [table for table in tables if table.fullname in present]


def _unkeyed(server: PostgresServer) -> set[str]:
    """Returns the tenants' tables that have no key to hold a tenant: they wait for their adoption, closed to others."""
    walled = [table.name for table in owned_tables(server.metadata) if is_walled(table)]
    with server.owner(action=_ACTION) as connection:
        rows = connection.execute(_UNKEYED, (server.config.common_schema, walled)).fetchall()
    return {name for (name,) in rows}


def _walls(server: PostgresServer, capabilities: Capabilities, tables: list[Table]) -> Iterable[str]:
    for table in tables:
        yield from table_statements(table, server.config, capabilities)
        yield from search_statements(table, server.config)


def _install_sqlite(server: SqliteServer, scripts: Scripts) -> None:
    server.make_directory()
    if server.name == MAIN:
        with server.connection(CATALOG) as connection:
            upgrade_sqlite(connection)
    server.install(head=scripts.head())
