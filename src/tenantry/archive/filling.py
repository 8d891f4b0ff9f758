"""A place that nobody lives in yet, made and filled with the rows of an archive, and as the journal has it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tenantry.archive.auditing import finish_rows
from tenantry.archive.migrating import fitted, standing
from tenantry.archive.places import writing
from tenantry.archive.sources import Source
from tenantry.catalog.operations import Course
from tenantry.types import Isolation, Tenant, TenantStatus

if TYPE_CHECKING:
    from tenantry.archive.core import Archive


def fill(archive: Archive, source: Source, *, place: Tenant, course: Course) -> dict[str, int]:
    """Makes a place and gives it the rows, and returns how many each table has; doing it again begins anew.

    Raises: as ``Archive.restore``.
    """
    tenancy = archive.tenancy
    course.step("place")
    tenancy.servers.strategy_of(place).create(place.id, head=tenancy.scripts.head())
    with fitted(archive, source, course=course, place=standing(archive, place)) as ready:
        course.step("fill")
        with writing(tenancy, place, shapes=ready.tables, as_tenant=source.manifest.tenant) as writer:
            writer.clear()
            counts = ready.pour(writer, course, step="fill")
            finish_rows(archive, writer, source=ready, course=course)
    return counts


def said(place: Tenant) -> dict[str, Any]:
    """Returns a place as the journal keeps it."""
    named = {"id": str(place.id), "slug": place.slug, "name": place.name, "settings": dict(place.settings)}
    where = {"isolation": place.isolation, "server": place.server, "physical": place.physical, "epoch": place.epoch}
    return {**named, **where}


def place_of(course: Course) -> Tenant:
    """Returns the place that an operation noted."""
    noted = course.detail["place"]
    return Tenant(
        id=uuid.UUID(noted["id"]),
        slug=noted["slug"],
        name=noted["name"],
        status=TenantStatus.PROVISIONING,
        isolation=Isolation(noted["isolation"]),
        server=noted["server"],
        physical=noted["physical"],
        epoch=noted["epoch"],
        settings=noted["settings"],
    )
