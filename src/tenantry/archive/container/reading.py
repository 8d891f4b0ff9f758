"""How an archive is read: checked over its whole length first, then row by row, and nothing in it is ever executed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import BinaryIO

from tenantry.archive.container.faults import Fault, told_of
from tenantry.archive.container.framing import BEGIN, DATA, END, FRAME, MANIFEST, Header, Limits, member_name
from tenantry.archive.container.manifest import Manifest, TableEntry, manifest_from
from tenantry.archive.container.measuring import PIECE, Measure, whole_lines
from tenantry.archive.container.scanning import Scan, Scanned, Span
from tenantry.archive.container.sealing import Clear, Seal, Sealed
from tenantry.archive.keys import DataKey, KeyRing
from tenantry.archive.libraries import zstd
from tenantry.errors import ArchiveError, ArchiveSealed

# Returns the data key of a tenant by its id, or None where it is gone.
DataKeys = Callable[[uuid.UUID, str], DataKey | None]


class ArchiveFile:
    """An archive whose signature holds; ``open_archive`` makes one. The file it reads from stays the caller's."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        name: str,
        manifest: Manifest,
        spans: dict[str, Span],
        header: Header,
        seal: Seal,
        limits: Limits,
    ) -> None:
        self.name = name
        self.header = header
        self.manifest = manifest
        self._file = file
        self._spans = spans
        self._seal = seal
        self._limits = limits

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
            yield from self._measured(entry)

    def check(self) -> None:
        """Reads every row once and compares counts, sizes and digests with the manifest.

        Raises: ArchiveDamaged, StoreUnavailable.
        """
        for entry in self.manifest.tables:
            for _ in self.rows(entry.name):
                pass

    def _measured(self, entry: TableEntry) -> Iterator[bytes]:
        measure = Measure(longest_row=self._limits.row)
        held = b""
        for chunk in whole_lines(self._unpacked(self._spans[entry.name]), longest_row=self._limits.row):
            measure.add(chunk)
            if measure.size > entry.size:
                raise Fault(f"table {entry.name!r} has more bytes than its manifest says.")
            if held:
                yield held
            held = chunk
        if measure.result() != entry.measured:
            raise Fault(f"the rows of table {entry.name!r} are not those of its manifest.")
        if held:
            yield held

    def _unpacked(self, span: Span) -> Iterator[bytes]:
        decompressor = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: self._limits.window_log}
        )
        try:
            for payload in self._payloads(span):
                yield from _decompressed(decompressor, payload)
        except (zstd.ZstdError, EOFError) as error:
            raise Fault("a member does not unpack.") from error
        if not decompressor.eof or decompressor.unused_data:
            raise Fault("a member unpacks to something else than its rows.")

    def _payloads(self, span: Span) -> Iterator[bytes]:
        offset, number = span.offset, span.number
        while True:
            # Members may be read in turn, so the place in the file is each one's own.
            self._file.seek(offset)
            kind, length = FRAME.unpack(self._exactly(FRAME.size))
            number += 1
            offset += FRAME.size + length
            # The file may have been changed since it was scanned.
            if offset > span.end or kind not in (DATA, END):
                raise Fault("it was changed while it was read.")
            payload = self._seal.open(self._exactly(length), kind=kind, number=number)
            if kind == END:
                return
            yield payload

    def _exactly(self, length: int) -> bytes:
        found = self._file.read(length)
        if len(found) < length:
            raise Fault("it was cut while it was read.")
        return found


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

    Raises: ArchiveForeign, ArchiveDamaged, ArchiveKeyMissing, ArchiveSealed, StoreUnavailable; ArchiveError for
    another tenant's.
    """
    limits = limits or Limits()
    name = name or str(getattr(file, "name", "the archive"))
    with told_of(name):
        scanned = Scan(file, limits=limits).run(ring, name=name)
    _check_tenant(scanned.header, tenant, name=name)
    seal = _seal_of(scanned.header, data_key, name=name)
    _try_key(scanned, seal, name=name)
    with told_of(name):
        manifest = _manifest(scanned, seal)
        spans = {_name_of(span, seal): span for span in scanned.spans}
        if len(spans) < len(scanned.spans) or list(spans) != [table.name for table in manifest.tables]:
            raise Fault("its manifest names other tables than it has.")
    archive = ArchiveFile(
        file, name=name, manifest=manifest, spans=spans, header=scanned.header, seal=seal, limits=limits
    )
    if contents:
        archive.check()
    return archive


def _check_tenant(header: Header, tenant: uuid.UUID | None, *, name: str) -> None:
    if tenant is not None and header.tenant != tenant:
        raise ArchiveError(
            what=f"{name!r} is an archive of tenant {header.tenant}, not of {tenant}.",
            fix="Choose one of the tenant's own; a copy for another tenant is asked for as such.",
        )


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


def _decompressed(decompressor: zstd.ZstdDecompressor, payload: bytes) -> Iterator[bytes]:
    """Unpacks in pieces of bounded size, however much a few bytes may stand for."""
    yield decompressor.decompress(payload, max_length=PIECE)
    while not (decompressor.needs_input or decompressor.eof):
        yield decompressor.decompress(b"", max_length=PIECE)
