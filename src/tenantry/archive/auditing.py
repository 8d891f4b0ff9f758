"""What ends a restore in its own transaction: audits are told of it, and erased people are forgotten again."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING, Any, Final

from tenantry.archive.erasures import replay
from tenantry.archive.places import Writer
from tenantry.archive.sources import Source
from tenantry.audit import Audit, audits_of
from tenantry.audit.anchors import Anchor
from tenantry.audit.entries import is_entries
from tenantry.audit.restoring import note_restored
from tenantry.catalog.operations import Course
from tenantry.errors import RestoreRefused
from tenantry.isolation.purging import Purge
from tenantry.isolation.sqlite import SqliteServer
from tenantry.isolation.sqlite_stored import STORED_SUFFIX
from tenantry.types import Isolation

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

_ANCHORS: Final = "anchors"


def finish_rows(archive: Archive, writer: Writer, *, source: Source, course: Course) -> None:
    """Ends the audits' chains with an entry on the restore, and forgets everybody who was erased since the backup.

    Raises: RestoreRefused for an audit that the tenancy lacks; TenantWasErased, ErasureKeyMissing, and as ``replay``.
    """
    opened, manifest, anchors = _purge(archive, writer), source.manifest, []
    for name, audit in _audits(archive, writer, source).items():
        anchor = note_restored(audit, opened, source=manifest.tenant, archive=source.name, taken_at=manifest.taken_at)
        anchors += [] if anchor is None else [_said(name, anchor)]
    # After that entry: those behind it are the tenant's own.
    replay(archive.tenancy, opened, archive.ring, source=manifest.tenant)
    # A successor keeps them, should this process not come that far.
    course.detail[_ANCHORS] = anchors


def keep_anchors(archive: Archive, course: Course) -> None:
    """Keeps the anchors of a restore that was committed; keeping one again does no harm."""
    known = {audit.recorder.tables.entries.name: audit.recorder.anchors for audit in audits_of(archive.tenancy)}
    for said in course.detail.get(_ANCHORS, ()):
        store = known.get(said["audit"])
        if store is not None:
            when = datetime.datetime.fromisoformat(said["recorded_at"])
            store.put(Anchor(uuid.UUID(said["tenant"]), said["seq"], said["digest"], when))


def _audits(archive: Archive, writer: Writer, source: Source) -> dict[str, Audit]:
    """Returns the audits whose chains are among the rows: each has to tell of the restore."""
    known = {audit.recorder.tables.entries.name: audit for audit in audits_of(archive.tenancy)}
    tables = (archive.tenancy.metadata.tables.get(table.name) for table in writer.tables)
    kept = {table.name for table in tables if table is not None and is_entries(table)}
    if missing := sorted(kept - known.keys()):
        reason = f"this tenancy has not made the audit that is kept in {missing[0]}. Make Audit(tenancy, …) first."
        raise RestoreRefused(name=source.name, tenant=writer.tenant.id, reason=reason)
    return {name: audit for name, audit in known.items() if name in kept}


def _purge(archive: Archive, writer: Writer) -> Purge:
    tenant = writer.tenant
    on_sqlite = isinstance(archive.tenancy.servers.get(tenant.server), SqliteServer)
    if on_sqlite and tenant.isolation is Isolation.ROWS:
        return Purge(tenant.id, writer.connection, lambda name: name + STORED_SUFFIX)
    return Purge(tenant.id, writer.connection)


def _said(audit: str, anchor: Anchor) -> dict[str, Any]:
    named = {"audit": audit, "tenant": str(anchor.tenant), "seq": anchor.seq, "digest": anchor.digest}
    return {**named, "recorded_at": anchor.recorded_at.isoformat()}
