"""Putting a search up where tables stand already: in common tables, tenants' own schemas, databases and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sqlalchemy import Table

from tenantry.catalog.warming import WarmPlacement
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.searching import quoted, search_statements
from tenantry.isolation.searching_sqlite import has_engine, is_whole, put_up_statements, stands
from tenantry.isolation.servers import Server
from tenantry.isolation.sqlite import SqliteServer
from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantStatus

_ACTION: Final = "Putting a search up"


def install(tenancy: Tenancy, table: Table) -> int:
    """Puts the search of one table up in every home where the table stands, and returns how many those are.

    Raises: LoginRequired.
    """
    servers = {server.name: server for server in tenancy.servers.all()}
    commons = ((server, server.config.common_schema, None) for server in _postgres(servers.values()))
    homes = dict.fromkeys([*commons, *_homes(tenancy, servers)])
    return sum(
        _put_up_in_file(server, table, physical)
        if isinstance(server, SqliteServer)
        else _put_up(server, table, schema=physical, database=database)
        for server, physical, database in homes
    )


def _homes(tenancy: Tenancy, servers: Mapping[str, Server]) -> Iterator[tuple[Server, str, str | None]]:
    """Yields the server of each tenant's own home, its schema or file, and its database: None for the server's own."""
    if not any(_postgres(servers.values())) and not has_engine():
        return
    living = (TenantStatus.ACTIVE, TenantStatus.SUSPENDED)
    places: list[WarmPlacement | Tenant] = [*tenancy.tenants.warm_placements(), *tenancy.every_tenant(statuses=living)]
    for place in places:
        server = servers.get(place.server)
        if server is None or place.isolation is Isolation.ROWS:
            continue
        if isinstance(server, PostgresServer) and place.isolation is Isolation.DATABASE:
            yield server, server.config.common_schema, place.physical
        elif isinstance(server, PostgresServer) or has_engine():
            yield server, place.physical, None


def _postgres(servers: Iterable[Server]) -> Iterator[PostgresServer]:
    yield from (server for server in servers if isinstance(server, PostgresServer))


def _put_up_in_file(server: SqliteServer, table: Table, physical: str) -> bool:
    if not server.file(physical).exists():
        return False
    with server.connection(physical) as connection:
        ask = connection.exec_driver_sql
        if not stands(ask, table):
            return False
        if not is_whole(ask, table):
            for statement in put_up_statements(table):
                connection.exec_driver_sql(statement)
    return True


def _put_up(server: PostgresServer, table: Table, *, schema: str, database: str | None) -> bool:
    with server.owner(action=_ACTION, database=database) as connection:
        asked = f"{quoted(schema)}.{quoted(table.name)}"
        if not connection.execute("SELECT to_regclass(%s)", (asked,)).fetchone()[0]:
            return False
    path = f"SET LOCAL search_path = {quoted(schema)}, {EXTENSIONS_SCHEMA}, pg_temp"
    server.run([path, *search_statements(table, server.config)], action=_ACTION, database=database)
    return True
