"""The demo's servers: an embedded PostgreSQL with a login for each role, and a directory of SQLite files."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Final

import psycopg

from tenantry import Tenancy
from tenantry.cli.demo.customers import FILES, Customer
from tenantry.embedded import PostgresServer
from tenantry.packs.helpdesk import HelpdeskBase
from tenantry.samples import tenant_of
from tenantry.types import Tenant

DATABASE: Final = "helpdesk"
ROLES: Final = ("app", "operator", "platform")


@contextlib.contextmanager
def started_servers() -> Iterator[tuple[PostgresServer, str]]:
    """Lends a running PostgreSQL and the path of an empty directory; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tenantry-demo-") as directory, PostgresServer() as server:
        yield server, directory


@contextlib.contextmanager
def installed_tenancy(server: PostgresServer, directory: str) -> Iterator[Tenancy]:
    """Lends an installed tenancy over both servers; its sessions run under logins that own nothing."""
    owner = server.url(DATABASE)
    with contextlib.closing(Tenancy(owner, models=HelpdeskBase)) as first:
        first.install(create_tables=True)
        app, operator, platform = (first.create_login(f"demo_{role}", role=role) for role in ROLES)
    tenancy = Tenancy(app, models=HelpdeskBase, owner_url=owner, operator_url=operator, platform_url=platform)
    with contextlib.closing(tenancy):
        tenancy.servers.add(FILES, f"sqlite:///{directory}")
        tenancy.install()
        yield tenancy


def gather_statistics(server: PostgresServer) -> None:
    """Lets PostgreSQL look at every row of the common database; without it pg_stats would have nothing to give away."""
    with psycopg.connect(server.url(DATABASE), autocommit=True) as connection:
        connection.execute("ANALYZE")


def create_tenant(tenancy: Tenancy, customer: Customer) -> Tenant:
    """Returns a new tenant in the customer's place, with its company."""
    return tenant_of(tenancy, customer.sample)
