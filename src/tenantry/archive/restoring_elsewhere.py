"""A restore of a tenant whose place is gone to a place of another kind, or on another server; it lives there then."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tenantry.archive.auditing import keep_anchors
from tenantry.archive.filling import fill, place_of, said
from tenantry.archive.operating import under_way
from tenantry.archive.outcomes import Restored
from tenantry.archive.sources import Source
from tenantry.catalog import moving
from tenantry.catalog.operations import CHANGING, RESTORE, Course
from tenantry.errors import OperationLost, RestoreRefused, ServerUnknown, TenantryError
from tenantry.isolation import fencing
from tenantry.types import Isolation, Tenant

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

_ACTION: Final = "Restoring to another place"


def place_to_be(
    archive: Archive, tenant: Tenant, *, name: str, isolation: Isolation | None, server: str | None
) -> Tenant:
    """Returns the tenant at the place that is asked for, where it will live.

    Raises: RestoreRefused where its own place stands or does not answer, IsolationUnavailable, ServerUnknown.
    """
    servers, where = archive.tenancy.servers, server or tenant.server
    if _stands(archive, tenant, name=name):
        reason = f"it has its place, {tenant.isolation} on {tenant.server}. Pass into=, or restore it and move it."
        raise RestoreRefused(name=name, tenant=tenant.id, reason=reason)
    usual = tenant.isolation if server is None else servers.default_isolation(where)
    chosen = isolation or usual
    physical = servers.strategy(where, chosen).place(tenant.id)
    return replace(tenant, server=where, isolation=chosen, physical=physical, epoch=tenant.epoch + 1)


def restore(archive: Archive, source: Source, *, place: Tenant, path: str) -> Restored:
    """Fills the place with the rows of an archive and has the tenant live there; where that fails, nothing is left.

    Raises: as ``Archive.restore``.
    """
    detail = {"room": "elsewhere", "archive": path, "place": said(place)}
    undo = functools.partial(_undo, archive)
    with under_way(archive.tenancy, RESTORE, place.id, apart_from=CHANGING, undo=undo, **detail) as course:
        return go_on(archive, source, course=course)


def go_on(archive: Archive, source: Source, *, course: Course) -> Restored:
    """Does it, or goes on where a killed restore stopped: what it did is done again, to the same end.

    Raises: as ``restore``; OperationLost where the tenant has gone elsewhere meanwhile.
    """
    place = place_of(course)
    counts = fill(archive, source, place=place, course=course)
    # It may have lived there before, and left.
    fencing.lift(archive.tenancy.servers.get(place.server), place)
    course.step("switch", rows=counts)
    gone = archive.tenancy.tenants.get(course.tenant)
    with archive.tenancy.catalog(_ACTION) as connection:
        if not moving.switch(connection, place):
            raise OperationLost(operation=course.id)
        moving.leave(connection, gone)
    return _end(archive, course)


def done(archive: Archive, course: Course) -> Restored | None:
    """Returns what was restored, where the tenant lives there already."""
    return _end(archive, course) if _lives_there(archive, course) else None


def take_back(archive: Archive, course: Course) -> None:
    """Removes the new place with all that it has; doing it again changes nothing.

    Raises: RestoreRefused where the tenant lives there.
    """
    if not _undo(archive, course):
        reason = "it was done, and the tenant lives there. Move it if it should not."
        raise RestoreRefused(name=course.detail["archive"], tenant=course.tenant, reason=reason)


def _undo(archive: Archive, course: Course) -> bool:
    if _lives_there(archive, course):
        return False
    place = place_of(course)
    course.step("take back")
    archive.tenancy.servers.strategy_of(place).drop(place.id, force=True)
    return True


def _end(archive: Archive, course: Course) -> Restored:
    tenancy, place = archive.tenancy, place_of(course)
    tenancy.router.forget(place)
    keep_anchors(archive, course)
    return Restored(tenancy.tenants.get(place.id), course.detail["archive"], course.detail["rows"])


def _lives_there(archive: Archive, course: Course) -> bool:
    place, lives = place_of(course), archive.tenancy.tenants.get(course.tenant)
    return (lives.server, lives.isolation, lives.physical) == (place.server, place.isolation, place.physical)


def _stands(archive: Archive, tenant: Tenant, *, name: str) -> bool:
    """Whether a tenant's place is there; on a server that was taken out of the configuration there is none.

    Raises: RestoreRefused for a server that does not answer: others may reach it.
    """
    try:
        return archive.tenancy.servers.strategy_of(tenant).exists(tenant.id)
    except ServerUnknown:
        return False
    except TenantryError:
        raise
    except Exception as error:  # whatever its driver raises
        reason = f"its server {tenant.server} does not answer. Take that out of the configuration first, if it is gone."
        raise RestoreRefused(name=name, tenant=tenant.id, reason=reason) from error
