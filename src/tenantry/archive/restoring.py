"""A restore: to a new tenant, or to the tenant's own; taken up or taken back where its process was killed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import IntegrityError

from tenantry.archive import restoring_afresh, restoring_elsewhere, restoring_here
from tenantry.archive.erasures import check_not_erased
from tenantry.archive.operating import get, taken_up
from tenantry.archive.outcomes import Restored
from tenantry.archive.sources import choose, opened, source_of
from tenantry.archive.sweeping import finish
from tenantry.catalog.operations import DONE, ENDED, RESTORE, UNDONE
from tenantry.errors import RestoreRefused, TenantNotFound
from tenantry.types import Isolation, Tenant, TenantStatus

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

# Where a restore goes, by the word that the journal has for it.
_ROOMS: Final = {"afresh": restoring_afresh, "elsewhere": restoring_elsewhere, "here": restoring_here}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a restore was asked for."""

    tenant: uuid.UUID
    archive: str | Path
    into: str | None
    in_place: bool
    keep: bool
    isolation: Isolation | None
    server: str | None


def restore(archive: Archive, wanted: Wanted) -> Restored:
    """Does what is wanted, or nothing.

    Raises: as ``Archive.restore``.
    """
    check_not_erased(archive.tenancy, wanted.tenant)
    name = choose(archive, wanted.tenant, wanted.archive)
    if wanted.into is not None and wanted.in_place:
        raise RestoreRefused(name=str(name), tenant=wanted.tenant, reason="use either in_place=True or into=.")
    with opened(archive, name, tenant=wanted.tenant) as found, _told_of_orphans(found.name, wanted.tenant):
        source = source_of(found)
        if wanted.into is not None:
            made = restoring_afresh.tenant_to_be(
                archive, found.manifest, slug=wanted.into, isolation=wanted.isolation, server=wanted.server
            )
            return restoring_afresh.restore(archive, source, tenant=made, path=str(name))
        tenant = _known(archive, found.name, wanted.tenant)
        if (wanted.isolation or tenant.isolation, wanted.server or tenant.server) != (tenant.isolation, tenant.server):
            place = restoring_elsewhere.place_to_be(
                archive, tenant, name=found.name, isolation=wanted.isolation, server=wanted.server
            )
            return restoring_elsewhere.restore(archive, source, place=place, path=str(name))
        return restoring_here.restore(
            archive, source, tenant=tenant, path=str(name), in_place=wanted.in_place, keep=wanted.keep
        )


def resume(archive: Archive, operation: uuid.UUID) -> Restored | None:
    """Goes on with an operation that nobody runs any more; of a backup or a verification it ends what there is.

    Raises: as ``Archive.resume``.
    """
    left = get(archive.tenancy, operation)
    if left.state in ENDED:
        return None
    with taken_up(archive.tenancy, operation) as course:
        if course.kind != RESTORE:
            course.end(DONE if finish(archive, course) else UNDONE)
            return None
        room = _ROOMS[course.detail["room"]]
        done: Restored | None = room.done(archive, course)
        if done is None:
            name = _named(course.detail["archive"])
            with opened(archive, name) as found, _told_of_orphans(found.name, course.tenant):
                done = room.go_on(archive, source_of(found), course=course)
        return done


def rollback(archive: Archive, operation: uuid.UUID) -> None:
    """Takes back an operation that nobody runs any more, unless it was done.

    Raises: as ``Archive.rollback``.
    """
    left = get(archive.tenancy, operation)
    if left.state in ENDED:
        return
    with taken_up(archive.tenancy, operation) as course:
        if course.kind == RESTORE:
            _ROOMS[course.detail["room"]].take_back(archive, course)
            course.end(UNDONE)
        else:
            course.end(DONE if finish(archive, course) else UNDONE)


def _known(archive: Archive, name: str, tenant: uuid.UUID) -> Tenant:
    try:
        found = archive.tenancy.tenants.get(tenant)
    except TenantNotFound:
        reason = "it is not known here. Pass into= and a slug, to make a new tenant of it."
        raise RestoreRefused(name=name, tenant=tenant, reason=reason) from None
    if found.status not in (TenantStatus.ACTIVE, TenantStatus.SUSPENDED):
        reason = f"it is {found.status}. Pass into= and a slug, to make a new tenant of it."
        raise RestoreRefused(name=name, tenant=tenant, reason=reason)
    return found


@contextlib.contextmanager
def _told_of_orphans(name: str, tenant: uuid.UUID) -> Iterator[None]:
    """Says it in our words where SQLite finds at the commit that rows refer to others which are not there."""
    try:
        yield
    except IntegrityError as error:
        reason = "rows of it refer to others that are not there. Look whether all Shared rows were published."
        raise RestoreRefused(name=name, tenant=tenant, reason=reason) from error


def _named(said: str) -> str | Path:
    return Path(said) if Path(said).is_file() else said
