"""A backup: one state of a tenant's rows in canonical text, signed, and put into the store whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from tenantry.archive.container import Manifest, Measured, TableEntry, write_archive
from tenantry.archive.keys import DataKey
from tenantry.archive.operating import under_way
from tenantry.archive.places import Reader, reading
from tenantry.archive.room import NO_ROOM
from tenantry.archive.shapes import TableShape
from tenantry.archive.spooling import spooled
from tenantry.archive.stores import archive_name
from tenantry.archive.unlisted import unlisted
from tenantry.catalog import archives
from tenantry.catalog.archives import Archived
from tenantry.catalog.operations import BACKUP, Course
from tenantry.errors import BackupRefused, StoreFull, StoreUnavailable, TablesLeftOut
from tenantry.ids import uuid7
from tenantry.types import Tenant, TenantStatus

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

_FILE: Final = "archive"
_SHOWN: Final = 5
_NEXT_STEPS: Final = {
    TenantStatus.SUSPENDED: "Resume it, or pass suspended=True to keep its rows as they are.",
    TenantStatus.PROVISIONING: "Finish its creation with `tenantry fleet work`.",
}


def back_up(
    archive: Archive, tenant: Tenant, *, suspended: bool, note: str, within: Connection | None = None
) -> Archived:
    """Returns the archive of one state of a tenant, once it stands whole in the store and in the catalog.

    *within* is the transaction to read it in, where nobody else may write meanwhile.

    Raises: BackupRefused, TablesLeftOut, and what reading and the store raise.
    """
    check_status(tenant, suspended=suspended)
    with under_way(archive.tenancy, BACKUP, tenant.id, store=archive.location) as course:
        # An erase that began meanwhile waits for the backups it sees; it has not seen this one.
        check_status(archive.tenancy.tenants.get(tenant.id), suspended=suspended)
        with spooled(course, "read", below=archive.spool) as directory:
            file = directory / _FILE
            manifest, key = _write(archive, tenant, file, course=course, note=note, within=within)
            name = archive_name(tenant.id, manifest.taken_at)
            archived = archived_of(archive, name, manifest, size=file.stat().st_size, key=key.id if key else None)
            course.step("store", archive=name)
            archive.store.put(name, file)
        course.step("record")
        record(archive, archived)
    return archived


def check_status(tenant: Tenant, *, suspended: bool) -> None:
    """Lets a tenant pass that is active, or suspended where that is asked for.

    Raises: BackupRefused.
    """
    allowed = {TenantStatus.ACTIVE, TenantStatus.SUSPENDED} if suspended else {TenantStatus.ACTIVE}
    if tenant.status not in allowed:
        next_step = _NEXT_STEPS.get(tenant.status, "It does not come back. Look for its older archives.")
        raise BackupRefused(tenant=tenant.id, status=tenant.status, next_step=next_step)


def check_listed(archive: Archive, tenant: Tenant) -> None:
    """Lets a tenant pass whose every table, as the database's own catalog has them, is one of the models'.

    Raises: TablesLeftOut.
    """
    found = unlisted(archive.tenancy, tenant)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        names = ", ".join(finding.object for finding in found[:_SHOWN])
        raise TablesLeftOut(tenant=tenant.id, found=f"{names}{more}")


def record(archive: Archive, archived: Archived) -> None:
    """Has the catalog list an archive of the store."""
    with archive.tenancy.catalog("Recording a backup") as connection:
        archives.enter(connection, archived)


def models_digest(tables: Sequence[TableShape]) -> str:
    """Returns what tells the tables of one set of models from those of another."""
    told = json.dumps([table.to_json() for table in tables], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _write(
    archive: Archive, tenant: Tenant, file: Path, *, course: Course, note: str, within: Connection | None
) -> tuple[Manifest, DataKey | None]:
    check_listed(archive, tenant)
    key = archive.data_keys.current(tenant.id) if archive.encrypt else None
    with (
        reading(archive.tenancy, tenant, within=within) as reader,
        _room_for(file),
        file.open("xb") as out,
        write_archive(out, tenant=tenant.id, taken_at=reader.taken_at, ring=archive.ring, data_key=key) as writer,
    ):
        for number, table in enumerate(reader.tables):
            course.tell("read table", done=number, total=len(reader.tables), table=table.name)
            writer.member(table.name, reader.rows(table))
        manifest = _manifest(archive, tenant, reader, list(writer.members.items()), note=note)
        writer.finish(manifest)
    return manifest, key


def _manifest(
    archive: Archive, tenant: Tenant, reader: Reader, members: Sequence[tuple[str, Measured]], *, note: str
) -> Manifest:
    shapes = {table.name: table for table in reader.tables}
    entries = [
        TableEntry(name=name, shape=shapes[name].to_json(), rows=got.rows, size=got.size, sha256=got.sha256)
        for name, got in members
    ]
    return Manifest(
        tenant=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        isolation=tenant.isolation,
        database=archive.tenancy.servers.get(tenant.server).kind,
        taken_at=reader.taken_at,
        tables=tuple(entries),
        library=importlib.metadata.version("tenantry"),
        models=models_digest(reader.tables),
        revision=reader.revision,
        settings=dict(tenant.settings),
        identities=tuple(archive.tenancy.tenants.identities(tenant)),
        note=note,
    )


def archived_of(archive: Archive, name: str, manifest: Manifest, *, size: int, key: str | None) -> Archived:
    """Returns what the catalog says of an archive under a name in the store; *key* names the data key of its seal."""
    return Archived(
        id=uuid7(),
        tenant_id=manifest.tenant,
        store=archive.location,
        name=name,
        taken_at=manifest.taken_at,
        size=size,
        rows=manifest.rows,
        revision=manifest.revision,
        key_id=None if key is None else uuid.UUID(key),
        detail={"note": manifest.note, "tables": {table.name: table.rows for table in manifest.tables}},
    )


@contextlib.contextmanager
def _room_for(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = f"{error.strerror or type(error).__name__}."
        if error.errno in NO_ROOM:
            raise StoreFull(name=str(file), reason=reason) from error
        raise StoreUnavailable(store=str(file.parent), reason=reason) from error
