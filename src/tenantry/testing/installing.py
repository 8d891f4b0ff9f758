"""A tenancy led to a database of the tests' own, installed, and entered by logins that cannot pass the walls."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.tenancy import Tenancy
from tenantry.testing.rebinding import rebound
from tenantry.testing.servers import Server
from tenantry.types import Isolation, TenantStatus


@contextmanager
def installed_on_postgresql(tenancy: Tenancy, server: Server) -> Iterator[Tenancy]:
    """Leads a tenancy to a new database of a server, installs it, and enters it as an application does in production.

    Its driver stays the one that its own URL names. Everything made is dropped when the block ends.
    """
    with ExitStack() as ends:
        url = ends.enter_context(server.lend_database())
        names = {role: f"tenantry_test_{role}_{secrets.token_hex(4)}" for role in ("app", "operator", "platform")}
        ends.callback(server.drop_roles, list(names.values()))
        logins = _make_logins(tenancy, url, names)
        app = _with_driver(logins.pop("app_url"), tenancy)
        with rebound(tenancy, app, owner_url=url, **logins):
            try:
                yield tenancy
            finally:
                _erase_databases(tenancy)


@contextmanager
def installed_on_sqlite(tenancy: Tenancy, directory: Path) -> Iterator[Tenancy]:
    """Leads a tenancy to an empty directory of SQLite files, and installs it there."""
    with rebound(tenancy, f"sqlite:///{directory}"):
        tenancy.install(create_tables=True)
        yield tenancy


def _make_logins(tenancy: Tenancy, url: str, names: Mapping[str, str]) -> dict[str, str]:
    with rebound(tenancy, url, owner_url=url):
        tenancy.install(create_tables=True)
        return {f"{role}_url": tenancy.create_login(name, role=role) for role, name in names.items()}


def _with_driver(url: str, tenancy: Tenancy) -> str:
    own = tenancy.servers.main
    if not isinstance(own, PostgresServer):
        return url
    return f"{own.url(APP, action='Reading its driver').drivername}://{url.partition('://')[2]}"


def _erase_databases(tenancy: Tenancy) -> None:
    for tenant in tenancy.every_tenant(statuses=frozenset(TenantStatus)):
        if tenant.isolation is Isolation.DATABASE and tenant.status not in (TenantStatus.ERASED, TenantStatus.ERASING):
            tenancy.tenants.erase(tenant.slug, confirm=tenant.slug)
