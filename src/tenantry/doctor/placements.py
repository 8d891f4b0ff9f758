"""Whether every tenant has its placement, and every placement its tenant."""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from tenantry.catalog import operations
from tenantry.catalog.operations import Operation
from tenantry.catalog.warming import WarmPlacement
from tenantry.errors import CatalogVersionMismatch, TenantNotFound
from tenantry.ids import parse_uuid
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Isolation, Tenant, TenantStatus

_STANDING = (TenantStatus.ACTIVE, TenantStatus.SUSPENDED)


@dataclass(frozen=True)
class Census:
    """The tenants of one server, None where they could not be listed, and the placements kept ready for more."""

    tenants: tuple[Tenant, ...] | None
    ready: tuple[WarmPlacement, ...]
    still_lives: Callable[[uuid.UUID, str], bool]
    still_ready: Callable[[uuid.UUID], bool]

    def standing(self, isolation: Isolation) -> list[Tenant]:
        """Returns the tenants whose placement must stand, under one isolation."""
        known = self.tenants or ()
        return [tenant for tenant in known if tenant.isolation is isolation and tenant.status in _STANDING]

    def placed(self, isolation: Isolation) -> dict[str, uuid.UUID]:
        """Returns the placements that must stand under one isolation, by name, with the tenant each is for."""
        ready = {placement.physical: placement.id for placement in self.waiting(isolation)}
        return ready | {tenant.physical: tenant.id for tenant in self.standing(isolation)}

    def waiting(self, isolation: Isolation) -> list[WarmPlacement]:
        """Returns the placements that are kept ready under one isolation."""
        return [placement for placement in self.ready if placement.isolation is isolation]

    def orphans(self, names: Collection[str], parse: Callable[[str], uuid.UUID]) -> list[str]:
        """Returns the names that no living tenant bears."""
        if self.tenants is None:
            return []
        known = {tenant.physical for tenant in self.tenants}
        # The catalog is asked again for the rest: a tenant may have come while we were looking.
        return sorted(name for name in names if name not in known and not self.still_lives(parse(name), name))


def census(
    tenancy: Tenancy, *, tenants: tuple[Tenant, ...] | None, ready: Collection[WarmPlacement], server: str
) -> Census:
    """Returns what is to stand on one server, out of all."""

    @functools.cache
    def begun() -> frozenset[uuid.UUID]:
        return frozenset(placement.id for placement in tenancy.tenants.warm_placements(begun=True))

    @functools.cache
    def moving() -> frozenset[uuid.UUID]:
        # A catalog of the version before has no moves.
        with contextlib.suppress(CatalogVersionMismatch):
            return frozenset(move.tenant for move in unfinished_moves(tenancy))
        return frozenset()

    def still_lives(tenant: uuid.UUID, name: str) -> bool:
        try:
            found = tenancy.tenants.get(tenant)
        except TenantNotFound:
            return tenant in begun()
        here = found.server == server and found.physical == name
        # Until a move has ended the tenant has two places.
        return found.status is not TenantStatus.ERASED and (here or tenant in moving())

    def still_ready(placement: uuid.UUID) -> bool:
        return any(found.id == placement for found in tenancy.tenants.warm_placements())

    here = None if tenants is None else tuple(tenant for tenant in tenants if tenant.server == server)
    waiting = tuple(placement for placement in ready if placement.server == server)
    return Census(here, waiting, still_lives, still_ready)


def unfinished_moves(tenancy: Tenancy) -> list[Operation]:
    """Returns the moves that have not ended.

    Raises: LoginRequired, CatalogVersionMismatch.
    """
    with tenancy.catalog("Looking for moves") as connection:
        return operations.unfinished(connection, operations.MOVE)


def judge_moves(moves: Collection[Operation], tenants: Collection[Tenant]) -> Iterator[Finding]:
    """Yields the moves that wait for somebody: those that stopped, and those whose old place is kept."""
    slugs = {tenant.id: tenant.slug for tenant in tenants}
    for move in moves:
        slug = slugs.get(move.tenant, str(move.tenant))
        if move.state == operations.RESTING:
            message = "The tenant has moved, and its old place is still kept."
            yield Finding("N604", slug, message, f"`tenantry tenants finalize {slug}`, or rollback.")
        elif move.state == operations.FAILED or move.abandoned:
            message = f"A move of the tenant stopped at step {move.step}."
            yield Finding("N604", slug, message, f"`tenantry tenants move {slug} --resume`, or rollback.")


def from_physical(name: str) -> uuid.UUID:
    """Returns the tenant after whose identifier a schema or a database is named; nobody where it was adopted."""
    return parse_uuid(name.removeprefix("t_")) or uuid.UUID(int=0)


def judge(
    found: Census, isolation: Isolation, *, present: Collection[str], title: Callable[[str], str], drop: str
) -> Iterator[Finding]:
    """Yields tenants without placement and placements without tenant; *drop* is the SQL that removes one."""
    for tenant in found.standing(isolation):
        if tenant.physical not in present:
            yield missing(tenant, title(tenant.physical))
    for placement in found.waiting(isolation):
        # It may have been taken away, by whoever keeps them, while we were looking.
        if placement.physical not in present and found.still_ready(placement.id):
            yield lost(placement, title(placement.physical))
    for name in found.orphans(present, from_physical):
        message = "No tenant lives here any more; what it holds was to be erased."
        yield Finding("D601", title(name), message, drop.format(name=name))


def missing(tenant: Tenant, where: str) -> Finding:
    """Returns the finding about a tenant whose placement is gone."""
    message = f"The tenant {tenant.slug} is {tenant.status}, but its {tenant.isolation} is not there."
    return Finding("D602", where, message, f"Restore it, or `tenantry tenants erase {tenant.slug}`.")


def lost(placement: WarmPlacement, where: str) -> Finding:
    """Returns the finding about a placement kept ready that is gone."""
    message = f"The catalog keeps this {placement.isolation} ready for a tenant to come, and it is not there."
    fix = f"Drop the others and make all anew: tenancy.tenants.warm({placement.isolation.value!r}, size=0), then more."
    return Finding("D603", where, message, fix)


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
