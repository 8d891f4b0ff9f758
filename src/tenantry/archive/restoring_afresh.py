"""A restore to a new tenant: its names first, then its place and its rows, and last it is opened."""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING, Final

from tenantry.archive.auditing import keep_anchors
from tenantry.archive.container import Manifest
from tenantry.archive.filling import fill, place_of, said
from tenantry.archive.operating import under_way
from tenantry.archive.outcomes import Restored
from tenantry.archive.sources import Source
from tenantry.catalog import reserving
from tenantry.catalog.operations import CHANGING, RESTORE, Course
from tenantry.errors import RestoreRefused, TenantCreationDisabled, TenantNotFound
from tenantry.ids import check_slug, uuid7
from tenantry.isolation.servers import MAIN
from tenantry.types import Isolation, Tenant, TenantStatus

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

_ACTION: Final = "Restoring to a new tenant"


def tenant_to_be(
    archive: Archive, manifest: Manifest, *, slug: str, isolation: Isolation | None, server: str | None
) -> Tenant:
    """Returns the tenant that a restore will make: as the archive's was, where nothing else is asked for.

    Raises: InvalidSlug, IsolationUnavailable, ServerUnknown, TenantCreationDisabled.
    """
    tenancy, identifier = archive.tenancy, uuid7()
    if not tenancy.config.allow_tenant_creation:
        raise TenantCreationDisabled
    where = server or _server_of(archive, manifest.tenant)
    return Tenant(
        id=identifier,
        slug=check_slug(slug),
        name=manifest.name,
        status=TenantStatus.PROVISIONING,
        isolation=isolation or _usual(archive, manifest, where),
        server=where,
        physical=tenancy.servers.strategy(where, isolation or _usual(archive, manifest, where)).place(identifier),
        epoch=1,
        settings=dict(manifest.settings),
    )


def restore(archive: Archive, source: Source, *, tenant: Tenant, path: str) -> Restored:
    """Makes the tenant with the rows of an archive; where that fails, nothing of it is left.

    Raises: TenantExists, TenantLimitReached, and as ``Archive.restore``.
    """
    detail = {"room": "afresh", "archive": path, "place": said(tenant)}
    undo = functools.partial(_undo, archive)
    with under_way(archive.tenancy, RESTORE, tenant.id, apart_from=CHANGING, undo=undo, **detail) as course:
        course.step("reserve")
        with archive.tenancy.catalog(_ACTION) as connection:
            reserving.reserve(connection, tenant, ceiling=archive.tenancy.config.max_tenants)
        return _fill(archive, source, tenant, course)


def go_on(archive: Archive, source: Source, *, course: Course) -> Restored:
    """Goes on where a killed restore stopped; what it did is done again, to the same end.

    Raises: as ``restore``.
    """
    tenant = place_of(course)
    if _standing(archive, tenant) is None:
        course.step("reserve")
        with archive.tenancy.catalog(_ACTION) as connection:
            reserving.reserve(connection, tenant, ceiling=archive.tenancy.config.max_tenants)
    return _fill(archive, source, tenant, course)


def done(archive: Archive, course: Course) -> Restored | None:
    """Returns what was restored, where the tenant is open already."""
    found = _standing(archive, place_of(course))
    if found is None or found.status is TenantStatus.PROVISIONING:
        return None
    keep_anchors(archive, course)
    return Restored(found, course.detail["archive"], course.detail["rows"])


def take_back(archive: Archive, course: Course) -> None:
    """Removes the tenant with all that it has; doing it again changes nothing.

    Raises: RestoreRefused for one that is open.
    """
    tenant = place_of(course)
    found = _standing(archive, tenant)
    if found is None:
        return
    if found.status is not TenantStatus.PROVISIONING:
        reason = "it was done, and the tenant is open. Erase the tenant to be rid of it."
        raise RestoreRefused(name=course.detail["archive"], tenant=tenant.id, reason=reason)
    course.step("take back")
    archive.tenancy.servers.strategy_of(tenant).drop(tenant.id, force=True)
    with archive.tenancy.catalog(_ACTION) as connection:
        reserving.strike_out(connection, tenant)


def _undo(archive: Archive, course: Course) -> bool:
    found = _standing(archive, place_of(course))
    if found is not None and found.status is not TenantStatus.PROVISIONING:
        return False
    take_back(archive, course)
    return True


def _fill(archive: Archive, source: Source, tenant: Tenant, course: Course) -> Restored:
    tenancy = archive.tenancy
    counts = fill(archive, source, place=tenant, course=course)
    course.step("open", rows=counts)
    with tenancy.catalog(_ACTION) as connection:
        reserving.let_in(connection, tenant)
    tenancy.router.forget(tenant)
    keep_anchors(archive, course)
    return Restored(
        tenancy.tenants.get(tenant.id), course.detail["archive"], counts, identities=source.manifest.identities
    )


def _standing(archive: Archive, tenant: Tenant) -> Tenant | None:
    try:
        return archive.tenancy.tenants.get(tenant.id)
    except TenantNotFound:
        return None


def _server_of(archive: Archive, tenant: uuid.UUID) -> str:
    try:
        return archive.tenancy.tenants.get(tenant).server
    except TenantNotFound:
        return MAIN


def _usual(archive: Archive, manifest: Manifest, server: str) -> Isolation:
    kind = archive.tenancy.servers.get(server).kind
    return manifest.isolation if kind == manifest.database else archive.tenancy.servers.default_isolation(server)
