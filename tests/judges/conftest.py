"""The installations under judgement, and the table of verdicts at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from leak import models as declared
from psycopg import sql

from tenantry import Tenancy
from tenantry.embedded import PostgresServer
from tenantry.isolation import fencing
from tenantry.models import AppendOnly, Ownership, Platform, Shared, TenantOwned, TenantRecord, owned_tables
from tenantry.packs.helpdesk import HelpdeskBase

WALLED = (Ownership.TENANT, Ownership.RECORD)
LIBRARY_SCHEMAS = ["public", "tenantry", "tenantry_shared", "tenantry_extensions"]


@dataclass(frozen=True, slots=True)
class Installation:
    """Tenantry as `install` left it, with tenants in common tables and in schemas of their own."""

    url: str
    database: str
    server: PostgresServer
    schemas: tuple[str, ...]
    walled: frozenset[str]

    @property
    def judged(self) -> list[str]:
        """Every schema in which the library made something."""
        return [*LIBRARY_SCHEMAS, *self.schemas]

    @property
    def tables(self) -> set[str]:
        """Every table in which rows of tenants stand."""
        schemas = [schema for schema in ("public", *self.schemas) if schema != "tenantry_move"]
        return {f"{schema}.{table}" for schema in schemas for table in self.walled}

    @contextmanager
    def copy(self, *statements: str) -> Iterator[str]:
        """Lends the URL of a copy of the database in which *statements* were run."""
        copy = sql.Identifier(f"{self.database}_copy")
        with psycopg.connect(self.server.url(), autocommit=True) as admin:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(copy, sql.Identifier(self.database)))
            try:
                url = self.server.url(f"{self.database}_copy")
                with psycopg.connect(url) as connection:
                    for statement in statements:
                        connection.execute(statement)
                yield url
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(copy))


@pytest.fixture(scope="session")
def development_server() -> Iterator[PostgresServer]:
    """A server whose owner is a superuser, so that the operator gets BYPASSRLS and needs no policy."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session", params=["helpdesk", "kinds"])
def installation(request: pytest.FixtureRequest, development_server: PostgresServer) -> Installation:
    """The helpdesk as the demonstration installs it; and models of every kind, with links and inheritance."""
    models = HelpdeskBase if request.param == "helpdesk" else _every_kind().Base
    url = development_server.url(request.param)
    tenancy = Tenancy(url, models=models)
    tenancy.install(create_tables=True)
    for number in range(2):
        tenancy.tenants.create(f"common-{number}")
    own = [tenancy.tenants.create(f"own-{number}", isolation="schema") for number in range(2)]
    tenancy.close()
    return Installation(
        url=url,
        database=request.param,
        server=development_server,
        schemas=tuple(tenant.physical for tenant in own),
        walled=frozenset(table.name for table in owned_tables(models.metadata, *WALLED)),
    )


@pytest.fixture(scope="session")
def fenced(development_server: PostgresServer) -> Installation:
    """The helpdesk while three tenants are on the move: one has left common tables, one a schema, one not yet."""
    url = development_server.url("fenced")
    tenancy = Tenancy(url, models=HelpdeskBase)
    tenancy.install(create_tables=True)
    going, staying = tenancy.tenants.create("going"), tenancy.tenants.create("staying")
    own = tenancy.tenants.create("own-schema", isolation="schema")
    for tenant in (going, own, staying):
        fencing.prepare(tenancy.servers.main, tenant)
    for tenant in (going, own):
        with fencing.closed(tenancy.servers.main, tenant, departing=True):
            pass
    tenancy.close()
    return Installation(
        url=url,
        database="fenced",
        server=development_server,
        schemas=("tenantry_move", own.physical),
        walled=frozenset(table.name for table in owned_tables(HelpdeskBase.metadata, *WALLED)),
    )


def _every_kind() -> SimpleNamespace:
    key = "tenantry_shared.products.code"
    names = declared.declare(TenantOwned, TenantRecord, shared=Shared, platform=Platform, product_key=key)

    class Entry(AppendOnly, TenantOwned, names.Base):  # type: ignore[misc, name-defined]  # made here
        __tablename__ = "entries"

    return names


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    lines = [line for report in reports for name, line in report.user_properties if name == "judgement"]
    if lines:
        terminalreporter.section("outside judges")
        for line in lines:
            terminalreporter.line(line)
