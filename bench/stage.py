"""A server with both tables on it, a tenant in common tables, and as many in schemas as are asked for."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from sqlalchemy import create_engine, insert
from sqlalchemy.engine import Engine, make_url

from bench.models import Base, PlainBase, PlainTicket, Ticket, rows
from tenantry import Config, Tenancy, Tenant
from tenantry.embedded import PostgresServer


@dataclass(frozen=True, slots=True)
class Stage:
    """What the contestants play on."""

    tenancy: Tenancy
    owner_url: str
    app_url: str
    tenant: Tenant
    schemas: tuple[Tenant, ...]

    def plain_url(self, driver: str) -> str:
        """Returns the app login's URL for a program without tenancy, which needs a search path of its own."""
        url = make_url(self.app_url).set(drivername=f"postgresql+{driver}")
        return url.render_as_string(hide_password=False)

    def plain_engine(self) -> Engine:
        """Returns what a program without tenancy has."""
        return create_engine(self.plain_url("psycopg"), connect_args={"options": "-c search_path=public"})


@contextlib.contextmanager
def stage(schemas: int) -> Iterator[Stage]:
    """Sets the stage on an embedded server that is gone afterwards."""
    with PostgresServer() as server:
        owner_url = server.url("bench")
        first = Tenancy(owner_url, models=Base)
        first.install(create_tables=True)
        app_url = first.create_login("bench_app")
        first.close()
        # Routes outlive a round through every schema: what looking one up costs is measured by itself.
        tenancy = Tenancy(app_url, models=Base, owner_url=owner_url, config=Config(route_ttl=300.0))
        try:
            yield _filled(tenancy, owner_url, app_url, schemas)
        finally:
            tenancy.close()


def _filled(tenancy: Tenancy, owner_url: str, app_url: str, schemas: int) -> Stage:
    tenant = tenancy.tenants.create("common")
    neighbours = [tenancy.tenants.create(f"neighbour-{number}") for number in range(20)]
    for one in (tenant, *neighbours):
        fill(tenancy, one)
    _make_plain(owner_url, [one.id for one in (tenant, *neighbours)])
    made = tuple(tenancy.tenants.create(f"schema-{number}", isolation="schema") for number in range(schemas))
    for one in made:
        fill(tenancy, one)
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE")
    return Stage(tenancy, owner_url, app_url, tenant, made)


def fill(tenancy: Tenancy, tenant: Tenant) -> None:
    """Gives one tenant its rows."""
    with tenancy.transaction(tenant) as session:
        session.execute(insert(Ticket), rows(tenant.id))


def _make_plain(owner_url: str, tenants: list[uuid.UUID]) -> None:
    engine = create_engine(make_url(owner_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        PlainBase.metadata.create_all(connection)
        for tenant in tenants:
            connection.execute(insert(PlainTicket), rows(tenant))
        connection.exec_driver_sql("GRANT SELECT, INSERT ON plain_tickets TO bench_app")
    engine.dispose()
