"""The homes of the fleet: every place that has a schema history of its own."""

from __future__ import annotations

import enum
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tenantry.catalog.warming import WarmPlacement
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
        return self.slug or f"{self.server}/{self.physical if self.warm else self.kind}"

    @property
    def warm(self) -> bool:
        """Whether it is kept ready for a tenant to come."""
        return self.tenant is not None and not self.slug

    @property
    def key(self) -> str:
        """What tells this home from every other of the fleet, whatever its tenant is called."""
        return f"{self.server}/{self.kind}/{self.tenant.hex if self.tenant else ''}"


def lock_key(home: Home) -> int:
    """Returns the signed 64-bit key of a home's advisory lock, in the database that the home is in."""
    digest = hashlib.blake2b(home.key.encode(), digest_size=8, person=b"fleet").digest()
    return int.from_bytes(digest, signed=True)


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
    return Home(server.name, _kind(tenant.isolation, server), tenant.physical, tenant.id, tenant.slug)


def warm_home(placement: WarmPlacement, server: Server) -> Home:
    """Returns the home that a tenant to come will find."""
    return Home(server.name, _kind(placement.isolation, server), placement.physical, placement.id)


def _kind(isolation: Isolation, server: Server) -> HomeKind:
    if not isinstance(server, PostgresServer):
        return HomeKind.FILE
    return HomeKind.SCHEMA if isolation is Isolation.SCHEMA else HomeKind.DATABASE


def homes_of(tenancy: Tenancy) -> Iterator[Home]:
    """Yields every home of every server: the common ones first, those kept ready, the tenants' as they were created.

    Raises: LoginRequired without a login that lists tenants.
    """
    for server in tenancy.servers.all():
        yield from common_homes(server)
    # Before the tenants: one that is taken meanwhile is found here, or there, or in both places.
    warm = [warm_home(each, tenancy.servers.get(each.server)) for each in tenancy.tenants.warm_placements()]
    yield from warm
    found = {home.key for home in warm}
    for tenant in tenancy.every_tenant(statuses=(TenantStatus.ACTIVE, TenantStatus.SUSPENDED)):
        home = home_of(tenant, tenancy.servers.get(tenant.server))
        if home is not None and home.key not in found:
            yield home
