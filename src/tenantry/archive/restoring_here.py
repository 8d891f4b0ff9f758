"""A restore to the tenant's own place: one transaction behind the fence, in which the old rows go and the others come.

Readers see the old rows until it is committed, and writers wait; a crash undoes it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from tenantry.archive.auditing import finish_rows, keep_anchors
from tenantry.archive.backing import back_up, check_listed
from tenantry.archive.committing import XID, mark, unmark, was_committed
from tenantry.archive.migrating import fitted, standing
from tenantry.archive.operating import under_way
from tenantry.archive.outcomes import Restored
from tenantry.archive.places import Writer, writing
from tenantry.archive.sources import Source
from tenantry.catalog.operations import CHANGING, RESTORE, Course
from tenantry.errors import OutcomeUnknown, PlaceNotEmpty, RestoreRefused
from tenantry.isolation import fencing
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

# In an operation's detail: that there is a fence to take down.
_FENCED: Final = "fenced"


def restore(archive: Archive, source: Source, *, tenant: Tenant, path: str, in_place: bool, keep: bool) -> Restored:
    """Gives the tenant the rows of an archive, behind the fence.

    Raises: PlaceNotEmpty where it has rows and *in_place* is not said, FenceBusy, and as ``Archive.restore``.
    """
    detail = {"room": "here", "archive": path, "in_place": in_place, "keep": in_place and keep}
    undo = functools.partial(_undo, archive, tenant)
    with under_way(archive.tenancy, RESTORE, tenant.id, apart_from=CHANGING, undo=undo, **detail) as course:
        return _go(archive, source, tenant, course)


def go_on(archive: Archive, source: Source, *, course: Course) -> Restored:
    """Begins a killed restore anew, of which nothing was committed.

    Raises: as ``restore``.
    """
    return _go(archive, source, archive.tenancy.tenants.get(course.tenant), course)


def done(archive: Archive, course: Course) -> Restored | None:
    """Returns what was restored, where that was committed; what follows the commit is done then."""
    tenant = archive.tenancy.tenants.get(course.tenant)
    if not was_committed(archive.tenancy, tenant, course):
        return None
    return _end(archive, tenant, course)


def take_back(archive: Archive, course: Course) -> None:
    """Takes the fence down that a killed restore had put up.

    Raises: RestoreRefused where the restore was committed.
    """
    tenant = archive.tenancy.tenants.get(course.tenant)
    if was_committed(archive.tenancy, tenant, course):
        kept = course.detail.get("kept")
        other = repr(kept) if kept else "another archive"
        reason = f"it was done, and its rows may have changed since. Resume it; then restore {other} in place."
        raise RestoreRefused(name=course.detail["archive"], tenant=tenant.id, reason=reason)
    _lift(archive, tenant, course)


def _undo(archive: Archive, tenant: Tenant, course: Course) -> bool:
    if was_committed(archive.tenancy, tenant, course):
        return False
    _lift(archive, tenant, course)
    return True


def _lift(archive: Archive, tenant: Tenant, course: Course) -> None:
    if _FENCED in course.detail:
        course.step("lift")
        fencing.take_down(archive.tenancy.servers.get(tenant.server), tenant)


def _go(archive: Archive, source: Source, tenant: Tenant, course: Course) -> Restored:
    tenancy, strategy = archive.tenancy, archive.tenancy.servers.strategy_of(tenant)
    if not strategy.exists(tenant.id):
        course.step("place")
        strategy.create(tenant.id, head=tenancy.scripts.head())
    check_listed(archive, tenant)
    with fitted(archive, source, course=course, place=standing(archive, tenant)) as ready:
        course.step("fence", **{_FENCED: True})
        fencing.prepare(tenancy.servers.get(tenant.server), tenant)
        # From here on the fence notes what changes.
        _keep(archive, tenant, course)
        try:
            _replace(archive, ready, tenant, course)
        except Exception as error:
            if not _came_through(archive, tenant, course, error):
                raise
    return _end(archive, tenant, course)


def _keep(archive: Archive, tenant: Tenant, course: Course, within: Connection | None = None) -> None:
    """Backs up what is to be replaced."""
    if course.detail["keep"]:
        course.step("keep")
        note = f"before the restore of {course.detail['archive']}"
        course.detail["kept"] = back_up(archive, tenant, suspended=True, note=note, within=within).name


def _came_through(archive: Archive, tenant: Tenant, course: Course, error: Exception) -> bool:
    """Whether the transaction was committed, although its end was not heard of.

    Raises: OutcomeUnknown where that cannot be found out now.
    """
    try:
        return was_committed(archive.tenancy, tenant, course)
    except Exception:
        raise OutcomeUnknown(action=f"the restore of {course.detail['archive']}") from error


def _replace(archive: Archive, ready: Source, tenant: Tenant, course: Course) -> None:
    tenancy, source = archive.tenancy, ready.manifest.tenant
    course.step("replace", **{XID: None})
    with fencing.closed(tenancy.servers.get(tenant.server), tenant) as fence:
        within = fence.connection
        if fence.changes(limit=1):
            # Somebody wrote behind the backup, and nobody can any more.
            _keep(archive, tenant, course, within)
        with writing(tenancy, tenant, shapes=ready.tables, as_tenant=source, within=within) as writer:
            _clear(writer, ready, in_place=course.detail["in_place"])
            counts = ready.pour(writer, course, step="replace")
            finish_rows(archive, writer, source=ready, course=course)
        mark(within, course, rows=counts)


def _clear(writer: Writer, source: Source, *, in_place: bool) -> None:
    gone = writer.clear()
    if not in_place and any(gone.values()):
        found = ", ".join(f"{rows} of {table}" for table, rows in gone.items() if rows)
        raise PlaceNotEmpty(name=source.name, tenant=writer.tenant.id, found=found)


def _end(archive: Archive, tenant: Tenant, course: Course) -> Restored:
    _lift(archive, tenant, course)
    archive.tenancy.tell_rows_replaced(tenant.id)
    keep_anchors(archive, course)
    unmark(archive.tenancy, tenant, course)
    return Restored(tenant, course.detail["archive"], course.detail["rows"], course.detail.get("kept"))
