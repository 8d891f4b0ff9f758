"""An archive proved: restored into a scratch place, where every table must come to what the archive says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.archive.migrating import check_alike
from tenantry.archive.operating import under_way
from tenantry.archive.outcomes import Verified
from tenantry.archive.places import writing
from tenantry.archive.scratch import scratch
from tenantry.archive.shapes import shapes
from tenantry.archive.sources import Source, opened, source_of
from tenantry.catalog import archives
from tenantry.catalog.operations import VERIFY, Course
from tenantry.errors import ArchiveDamaged, RestoreUnequal, TenantNotFound
from tenantry.isolation.servers import MAIN

if TYPE_CHECKING:
    from tenantry.archive.core import Archive


def verify(archive: Archive, name: str | Path, *, server: str | None) -> Verified:
    """Returns what was compared, once it was equal; the catalog has it either way.

    Raises: as ``Archive.verify``.
    """
    try:
        with opened(archive, name) as found:
            source = source_of(found)
            with under_way(archive.tenancy, VERIFY, source.manifest.tenant, archive=str(name)) as course:
                counts = _prove(archive, source, course, server or _home_of(archive, source))
                course.step("record")
                _record(archive, str(name), None)
    except (ArchiveDamaged, RestoreUnequal) as error:
        _record(archive, str(name), str(error))
        raise
    return Verified(str(name), source.manifest.tenant, counts)


def _prove(archive: Archive, source: Source, course: Course, server: str) -> dict[str, int]:
    tenancy, before = archive.tenancy, source.manifest.revision
    grown = before if before != tenancy.scripts.head() and tenancy.config.migrations is not None else None
    if grown is None:
        check_alike(source, shapes(tenancy.metadata), place="the models")
    with scratch(tenancy, server, course=course, revision=grown) as place:
        course.step("load")
        with writing(tenancy, place, shapes=source.tables, as_tenant=source.manifest.tenant) as writer:
            return source.pour(writer, course, step="load")


def _home_of(archive: Archive, source: Source) -> str:
    try:
        return archive.tenancy.tenants.get(source.manifest.tenant).server
    except TenantNotFound:
        return MAIN


def _record(archive: Archive, name: str, fault: str | None) -> None:
    with archive.tenancy.catalog("Recording a verification") as connection:
        known = archives.find(connection, archive.location, name)
        if known is not None and fault is None:
            archives.note_verified(connection, known.id)
        elif known is not None:
            archives.note_damaged(connection, known.id, fault or "")
