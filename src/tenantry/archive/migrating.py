"""An archive of an older revision brought to the revision of the place it goes to, in a scratch place of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenantry.archive.places import reading, writing
from tenantry.archive.scratch import migrate, scratch
from tenantry.archive.shapes import TableShape
from tenantry.archive.sources import Source
from tenantry.catalog.operations import Course
from tenantry.errors import TablesUnlike
from tenantry.fleet.core import alembic_history
from tenantry.fleet.history import Position
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands where rows are to go, or are to be compared: the server, the revision, the tables."""

    server: str
    revision: str | None
    tables: Sequence[TableShape]


def standing(archive: Archive, tenant: Tenant) -> Standing:
    """Returns what stands at a tenant's place.

    Raises: BackupFiltered, PlaceUnfit, LoginRequired.
    """
    with reading(archive.tenancy, tenant) as reader:
        return Standing(tenant.server, reader.revision, reader.tables)


@contextlib.contextmanager
def fitted(archive: Archive, source: Source, *, course: Course, place: Standing) -> Iterator[Source]:
    """Yields the rows as they are at the revision of the place that they go to.

    Raises: TablesUnlike where the archive's tables are others and no migrations lead there, MigrationFailed.
    """
    before = source.manifest.revision
    if before == place.revision or before is None or place.revision is None:
        check_alike(source, place.tables, place=f"the place on server {place.server}")
        yield source
        return
    check_way(archive.tenancy, source, revision=place.revision)
    with scratch(archive.tenancy, place.server, course=course, revision=before) as old:
        course.step("load")
        with writing(archive.tenancy, old, shapes=source.tables, as_tenant=source.manifest.tenant) as writer:
            source.pour(writer, course, step="load")
        course.step("migrate")
        migrate(archive.tenancy, old, revision=place.revision)
        with _as_migrated(archive.tenancy, old, source) as migrated:
            check_alike(migrated, place.tables, place=f"the place on server {place.server}")
            yield migrated


def check_way(tenancy: Tenancy, source: Source, *, revision: str) -> None:
    """Lets an archive pass from whose revision the application's migrations lead up to *revision*.

    Raises: TablesUnlike.
    """
    before, reason = source.manifest.revision, None
    if tenancy.config.migrations is None:
        reason = f"it is of revision {before}, and this installation has no migrations."
    elif alembic_history(tenancy).position(before, revision) is not Position.BEHIND:
        reason = f"no migration leads from its revision {before} up to {revision}."
    if reason is not None:
        raise TablesUnlike(name=source.name, place="the place", reason=reason)


def check_alike(source: Source, wanted: Sequence[TableShape], *, place: str) -> None:
    """Lets an archive pass whose tables are those that are *wanted*, to the last column.

    Raises: TablesUnlike.
    """
    here, there = ({table.name: table for table in tables} for tables in (source.tables, wanted))
    unlike = [f"{name} is only in the archive" for name in here.keys() - there.keys()]
    unlike += [f"{name} is only in the place" for name in there.keys() - here.keys()]
    both = here.keys() & there.keys()
    unlike += [f"{name} has other columns" for name in both if set(here[name].names) != set(there[name].names)]
    if unlike:
        raise TablesUnlike(name=source.name, place=place, reason=f"{'; '.join(sorted(unlike)[:_SHOWN])}.")


@contextlib.contextmanager
def _as_migrated(tenancy: Tenancy, place: Tenant, source: Source) -> Iterator[Source]:
    with reading(tenancy, place, as_tenant=source.manifest.tenant) as reader:
        digests = {table.name: reader.digest(table) for table in reader.tables}
        yield Source(source.name, source.manifest, reader.tables, digests, reader.rows)
