"""The homes of the fleet: every place that has a schema history of its own."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.servers import Server
from tenantry.models import Ownership
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantStatus


class HomeKind(enum.StrEnum):
    """What a home is: a server's common tables, SQLite's file of the platform, or what one tenant has to itself."""

    COMMON = "common"
    PLATFORM = "platform"
    SCHEMA = "schema"
    DATABASE = "database"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Home:
    """A place with its own schema history; *tenant* is None where it belongs to no single one."""

    server: str
    kind: HomeKind
    physical: str = ""
    tenant: uuid.UUID | None = None
    slug: str = ""

    def __str__(self) -> str:
        return self.slug or f"{self.server}/{self.kind}"

    @property
    def key(self) -> str:
        """What tells this home from every other of the fleet, whatever its tenant is called."""
        return f"{self.server}/{self.kind}/{self.tenant.hex if self.tenant else ''}"


_TENANTS: Final = frozenset({Ownership.TENANT, Ownership.RECORD})
_OF_TENANT: Final = _TENANTS | {Ownership.SHARED}


def holds(home: Home, server: Server) -> frozenset[Ownership]:
    """Returns whose tables stand in a home of that kind."""
    if home.kind is HomeKind.SCHEMA:
        return _TENANTS
    if home.kind is HomeKind.PLATFORM:
        return frozenset({Ownership.PLATFORM, Ownership.SHARED})
    if home.kind is HomeKind.COMMON and isinstance(server, PostgresServer):
        return frozenset(Ownership)
    return _OF_TENANT


def common_homes(server: Server) -> list[Home]:
    """Returns the homes of a server that belong to no single tenant."""
    common = Home(server.name, HomeKind.COMMON)
    return [common] if isinstance(server, PostgresServer) else [Home(server.name, HomeKind.PLATFORM), common]


def home_of(tenant: Tenant, server: Server) -> Home | None:
    """Returns a tenant's own home, or None for one whose rows stand in the common tables."""
    if tenant.isolation is Isolation.ROWS:
        return None
    kind = HomeKind.SCHEMA if tenant.isolation is Isolation.SCHEMA else HomeKind.DATABASE
    if not isinstance(server, PostgresServer):
        kind = HomeKind.FILE
    return Home(server.name, kind, tenant.physical, tenant.id, tenant.slug)


def homes_of(tenancy: Tenancy) -> Iterator[Home]:
    """Yields every home of every server: the common ones first, then the tenants' in the order of their creation.

    Raises: LoginRequired without a login that lists tenants.
    """
    for server in tenancy.servers.all():
        yield from common_homes(server)
    for tenant in tenancy.every_tenant(statuses=(TenantStatus.ACTIVE, TenantStatus.SUSPENDED)):
        home = home_of(tenant, tenancy.servers.get(tenant.server))
        if home is not None:
            yield home
