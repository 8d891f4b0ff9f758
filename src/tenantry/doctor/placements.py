"""Whether every tenant has its placement, and every placement its tenant."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from tenantry.errors import TenantNotFound
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Isolation, Tenant, TenantStatus

_STANDING = (TenantStatus.ACTIVE, TenantStatus.SUSPENDED)


@dataclass(frozen=True)
class Census:
    """The tenants of one server; None where they could not be listed."""

    tenants: tuple[Tenant, ...] | None
    still_lives: Callable[[uuid.UUID], bool]

    def standing(self, isolation: Isolation) -> list[Tenant]:
        """Returns the tenants whose placement must stand, under one isolation."""
        known = self.tenants or ()
        return [tenant for tenant in known if tenant.isolation is isolation and tenant.status in _STANDING]

    def orphans(self, names: Collection[str], parse: Callable[[str], uuid.UUID]) -> list[str]:
        """Returns the names that no living tenant bears."""
        if self.tenants is None:
            return []
        known = {tenant.physical for tenant in self.tenants}
        # The catalog is asked again for the rest: a tenant may have come while we were looking.
        return sorted(name for name in names if name not in known and not self.still_lives(parse(name)))


def census(tenancy: Tenancy, *, tenants: tuple[Tenant, ...] | None, server: str) -> Census:
    """Returns the tenants of one server, out of all."""

    @functools.cache
    def kept_ready() -> frozenset[uuid.UUID]:
        return frozenset(placement.id for placement in tenancy.tenants.warm_placements(begun=True))

    def still_lives(tenant: uuid.UUID) -> bool:
        try:
            return tenancy.tenants.get(tenant).status is not TenantStatus.ERASED
        except TenantNotFound:
            return tenant in kept_ready()

    here = None if tenants is None else tuple(tenant for tenant in tenants if tenant.server == server)
    return Census(here, still_lives)


def from_physical(name: str) -> uuid.UUID:
    """Returns the tenant after whose identifier a schema or a database is named."""
    return uuid.UUID(name.removeprefix("t_"))


def judge(
    found: Census, isolation: Isolation, *, present: Collection[str], title: Callable[[str], str], drop: str
) -> Iterator[Finding]:
    """Yields tenants without placement and placements without tenant; *drop* is the SQL that removes one."""
    for tenant in found.standing(isolation):
        if tenant.physical not in present:
            yield missing(tenant, title(tenant.physical))
    for name in found.orphans(present, from_physical):
        message = "No tenant lives here any more; what it holds was to be erased."
        yield Finding("D601", title(name), message, drop.format(name=name))


def missing(tenant: Tenant, where: str) -> Finding:
    """Returns the finding about a tenant whose placement is gone."""
    message = f"The tenant {tenant.slug} is {tenant.status}, but its {tenant.isolation} is not there."
    return Finding("D602", where, message, f"Restore it, or `tenantry tenants erase {tenant.slug}`.")


def judge_lives(tenants: Collection[Tenant], servers: Collection[str]) -> Iterator[Finding]:
    """Yields tenants that are between two states, and those that live where this process cannot look."""
    for tenant in tenants:
        if tenant.status not in _STANDING:
            verb = "create" if tenant.status is TenantStatus.PROVISIONING else "erase"
            message = f"The tenant is {tenant.status}; the work on it has not ended."
            yield Finding(
                "N602", tenant.slug, message, f"Once nobody works on it: `tenantry tenants {verb} {tenant.slug}`."
            )
        if tenant.server not in servers:
            message = f"The tenant lives on server {tenant.server}, which this process does not know."
            yield Finding(
                "N601", tenant.slug, message, f"tenancy.servers.add({tenant.server!r}, url), then look again."
            )
