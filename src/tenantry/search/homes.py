"""Putting a search up where tables stand already: common ones, and those in tenants' own schemas and databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Table

from tenantry.catalog.warming import WarmPlacement
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.searching import quoted, search_statements
from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantStatus

_ACTION: Final = "Putting a search up"


def install(tenancy: Tenancy, table: Table) -> int:
    """Puts the search of one table up in every home on PostgreSQL where the table stands, and returns how many.

    Raises: LoginRequired.
    """
    homes = list(dict.fromkeys(_homes(tenancy)))
    return sum(_put_up(server, table, schema=schema, database=database) for server, schema, database in homes)


def _homes(tenancy: Tenancy) -> Iterator[tuple[PostgresServer, str, str | None]]:
    """Yields the server, the schema and the database of each home: None for the server's own database."""
    servers = {server.name: server for server in tenancy.servers.all() if isinstance(server, PostgresServer)}
    for server in servers.values():
        yield server, server.config.common_schema, None
    if not servers:
        return
    living = (TenantStatus.ACTIVE, TenantStatus.SUSPENDED)
    places: list[WarmPlacement | Tenant] = [*tenancy.tenants.warm_placements(), *tenancy.every_tenant(statuses=living)]
    for place in places:
        home = servers.get(place.server)
        if home is not None and place.isolation is Isolation.SCHEMA:
            yield home, place.physical, None
        elif home is not None and place.isolation is Isolation.DATABASE:
            yield home, home.config.common_schema, place.physical


def _put_up(server: PostgresServer, table: Table, *, schema: str, database: str | None) -> bool:
    with server.owner(action=_ACTION, database=database) as connection:
        asked = f"{quoted(schema)}.{quoted(table.name)}"
        if not connection.execute("SELECT to_regclass(%s)", (asked,)).fetchone()[0]:
            return False
    path = f"SET LOCAL search_path = {quoted(schema)}, {EXTENSIONS_SCHEMA}, pg_temp"
    server.run([path, *search_statements(table, server.config)], action=_ACTION, database=database)
    return True
