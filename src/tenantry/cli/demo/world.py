"""The demo's servers: an embedded PostgreSQL with a login for each role, and a directory of SQLite files."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import psycopg

from tenantry import Tenancy
from tenantry.cli.demo.customers import FILES, Customer
from tenantry.embedded import PostgresServer
from tenantry.packs.helpdesk import Helpdesk, HelpdeskBase
from tenantry.samples import tenant_of
from tenantry.types import Tenant

T = TypeVar("T")

DATABASE: Final = "helpdesk"
ROLES: Final = ("app", "operator", "platform")


@contextlib.contextmanager
def started_servers() -> Iterator[tuple[PostgresServer, str]]:
    """Lends a running PostgreSQL and the path of an empty directory; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tenantry-demo-") as directory, PostgresServer() as server:
        yield server, directory


@contextlib.contextmanager
def installed(
    server: PostgresServer, database: str, models: Any, make: Callable[[Tenancy], T], *, logins: str
) -> Iterator[tuple[Tenancy, T]]:
    """Lends an installed tenancy on a database of the server, with what *make* made of it.

    Its sessions run under logins that own nothing, whose names begin with *logins*.
    """
    owner = server.url(database)
    with contextlib.closing(Tenancy(owner, models=models)) as first:
        make(first)
        first.install(create_tables=True)
        app, operator, platform = (first.create_login(f"{logins}_{role}", role=role) for role in ROLES)
    tenancy = Tenancy(app, models=models, owner_url=owner, operator_url=operator, platform_url=platform)
    with contextlib.closing(tenancy):
        yield tenancy, make(tenancy)


@contextlib.contextmanager
def installed_helpdesk(server: PostgresServer, directory: str) -> Iterator[Helpdesk]:
    """Lends a helpdesk over both servers."""
    with installed(server, DATABASE, HelpdeskBase, Helpdesk, logins="demo") as (tenancy, pack):
        tenancy.servers.add(FILES, f"sqlite:///{directory}")
        tenancy.install()
        yield pack


def gather_statistics(server: PostgresServer) -> None:
    """Lets PostgreSQL look at every row of the common database; without it pg_stats would have nothing to give away."""
    with psycopg.connect(server.url(DATABASE), autocommit=True) as connection:
        connection.execute("ANALYZE")


def create_tenant(tenancy: Tenancy, customer: Customer) -> Tenant:
    """Returns a new tenant in the customer's place, with its company."""
    return tenant_of(tenancy, customer.sample)
