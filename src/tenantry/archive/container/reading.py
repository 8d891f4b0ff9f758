"""How an archive is read: checked over its whole length first, then row by row, and nothing in it is ever executed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tenantry.archive.container.faults import Fault, told_of
from tenantry.archive.container.framing import BEGIN, MANIFEST, Header, Limits, member_name
from tenantry.archive.container.manifest import Manifest, manifest_from
from tenantry.archive.container.members import Members
from tenantry.archive.container.scanning import Scanned, Span, scan
from tenantry.archive.container.sealing import Clear, Seal, Sealed
from tenantry.archive.keys import DataKey, KeyRing
from tenantry.errors import ArchiveError, ArchiveOfAnother, ArchiveSealed

# Returns the data key of a tenant by its id, or None where it is gone.
DataKeys = Callable[[uuid.UUID, str], DataKey | None]


class ArchiveFile:
    """An archive whose signature holds; ``open_archive`` makes one. The file it reads from stays the caller's."""

    def __init__(self, members: Members, *, name: str, header: Header, manifest: Manifest) -> None:
        self.name = name
        self.header = header
        self.manifest = manifest
        self._members = members

    def __repr__(self) -> str:
        return f"ArchiveFile({self.name!r}, tenant={self.manifest.tenant}, rows={self.manifest.rows})"

    def rows(self, table: str) -> Iterator[bytes]:
        """Yields the canonical rows of one table, in chunks of whole lines.

        The last chunk comes only when all rows were what the manifest says; whoever takes rows for good does so in one
        transaction, which an error here undoes.

        Raises: ArchiveError for a table that is not in the archive; ArchiveDamaged, StoreUnavailable.
        """
        try:
            entry = self.manifest.table(table)
        except KeyError:
            raise ArchiveError(
                what=f"Archive {self.name!r} holds no table {table[:80]!a}.",
                fix="Look into its manifest for those it has.",
            ) from None
        with told_of(self.name):
            yield from self._members.rows(entry)

    def check(self) -> None:
        """Reads every row once and compares counts, sizes and digests with the manifest.

        Raises: ArchiveDamaged, StoreUnavailable.
        """
        for entry in self.manifest.tables:
            for _ in self.rows(entry.name):
                pass


def open_archive(
    file: BinaryIO,
    ring: KeyRing,
    *,
    data_key: DataKeys | None = None,
    tenant: uuid.UUID | None = None,
    name: str | None = None,
    contents: bool = True,
    limits: Limits | None = None,
) -> ArchiveFile:
    """Returns the archive in *file*, which is seekable: its signature, lengths, manifest and rows are checked by then.

    Args:
        data_key: finds the key of an encrypted archive by tenant and id.
        tenant: whose archive it has to be, if that is known.
        name: what messages call the file.
        contents: False leaves the rows unread until ``rows`` or ``check``; whoever only looks at the manifest does so.

    Raises: ArchiveForeign, ArchiveDamaged, ArchiveKeyMissing, ArchiveSealed, ArchiveOfAnother,
    StoreUnavailable.
    """
    limits = limits or Limits()
    name = name or str(getattr(file, "name", "the archive"))
    with told_of(name):
        scanned = scan(file, ring, name=name, limits=limits)
    _check_tenant(scanned.header, tenant, name=name)
    seal = _seal_of(scanned.header, data_key, name=name)
    _try_key(scanned, seal, name=name)
    with told_of(name):
        manifest = _manifest(scanned, seal)
        spans = {_name_of(span, seal): span for span in scanned.spans}
        if len(spans) < len(scanned.spans) or list(spans) != [table.name for table in manifest.tables]:
            raise Fault("its manifest names other tables than it has.")
    members = Members(file, spans, seal, limits)
    archive = ArchiveFile(members, name=name, header=scanned.header, manifest=manifest)
    if contents:
        archive.check()
    return archive


def _check_tenant(header: Header, tenant: uuid.UUID | None, *, name: str) -> None:
    if tenant is not None and header.tenant != tenant:
        raise ArchiveOfAnother(name=name, owner=header.tenant, tenant=tenant)


def _seal_of(header: Header, data_key: DataKeys | None, *, name: str) -> Seal:
    if header.data_key is None:
        return Clear()
    found = data_key(header.tenant, header.data_key) if data_key else None
    if found is None:
        raise ArchiveSealed(name=name, key=header.data_key, reason="that key is not to be had.")
    return Sealed(found, header)


def _try_key(scanned: Scanned, seal: Seal, *, name: str) -> None:
    """The signature holds by now, so a frame that does not open was given another key."""
    try:
        seal.open(scanned.manifest, kind=MANIFEST, number=scanned.manifest_number)
    except Fault:
        key = scanned.header.data_key
        raise ArchiveSealed(name=name, key=key, reason="the key that was given is another one.") from None


def _manifest(scanned: Scanned, seal: Seal) -> Manifest:
    manifest = manifest_from(seal.open(scanned.manifest, kind=MANIFEST, number=scanned.manifest_number))
    if (manifest.tenant, manifest.taken_at) != (scanned.header.tenant, scanned.header.taken_at):
        raise Fault("its manifest is of another tenant or another moment than its header.")
    return manifest


def _name_of(span: Span, seal: Seal) -> str:
    return member_name(seal.open(span.name, kind=BEGIN, number=span.number))
