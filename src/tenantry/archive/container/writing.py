"""How an archive is written: member after member, the manifest last, and nothing counts before the signature."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import uuid
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from tenantry.archive.container.faults import Fault
from tenantry.archive.container.framing import (
    BEGIN,
    DATA,
    END,
    FRAME,
    MANIFEST,
    PURPOSE,
    SALT_LENGTH,
    SIGNATURE,
    SIGNATURE_LENGTH,
    Header,
    Limits,
    member_name,
)
from tenantry.archive.container.manifest import Manifest
from tenantry.archive.container.measuring import PIECE, Measure, Measured, pieces
from tenantry.archive.container.sealing import Clear, Seal, Sealed
from tenantry.archive.keys import DataKey, KeyRing
from tenantry.archive.libraries import zstd
from tenantry.archive.room import unwritten
from tenantry.errors import ArchiveError

# Level 1 keeps up with COPY; a higher one makes a backup of text slower by half and smaller by a tenth.
LEVEL: Final = 1


class ArchiveWriter:
    """Writes one archive; ``write_archive`` makes one."""

    def __init__(self, out: _SignedFile, *, header: Header, seal: Seal, limits: Limits) -> None:
        self.header = header
        self.members: dict[str, Measured] = {}
        self.finished = False
        self._out = out
        self._seal = seal
        self._limits = limits
        self._number = 0
        self._inside = False

    def member(self, name: str, chunks: Iterable[bytes]) -> Measured:
        """Writes the canonical rows of one table, and returns how many they are and their digest.

        Raises: ArchiveError for a name that is none or was there, and for rows that a reader would refuse; StoreFull,
        StoreUnavailable; whatever *chunks* raises. After any of them the file cannot be finished.
        """
        with _refusing():
            self._begin(name)
        compressor = zstd.ZstdCompressor(level=LEVEL)
        measure = Measure(longest_row=self._limits.row)
        for piece in pieces(chunks):
            with _refusing():
                measure.add(piece)
            self._data(compressor.compress(piece))
        self._data(compressor.flush())
        with _refusing():
            measured = measure.result()
        self._frame(END, b"")
        self._inside = False
        self.members[name] = measured
        return measured

    def finish(self, manifest: Manifest) -> None:
        """Writes the manifest and the signature, which make an archive of the file.

        Raises: ArchiveError for a manifest that is not of this tenant, moment and members; StoreFull, StoreUnavailable.
        """
        with _refusing():
            self._check(manifest)
            payload = manifest.to_bytes()
            if len(payload) > self._limits.manifest:
                raise Fault(f"its manifest has {len(payload)} bytes.")
        self._frame(MANIFEST, payload)
        self._out.sign()
        self.finished = True

    def _begin(self, name: str) -> None:
        if self.finished or self._inside:
            raise Fault("its writing was broken off, or is finished.")
        payload = name.encode()
        if member_name(payload) in self.members:
            raise Fault(f"member {name!a} is there already.")
        if len(self.members) == self._limits.members:
            raise Fault(f"it would have more than {self._limits.members} members.")
        self._inside = True
        self._frame(BEGIN, payload)

    def _data(self, compressed: bytes) -> None:
        for start in range(0, len(compressed), PIECE):
            self._frame(DATA, compressed[start : start + PIECE])

    def _frame(self, kind: bytes, payload: bytes) -> None:
        closed = self._seal.close(payload, kind=kind, number=self._number)
        self._number += 1
        self._out.write(FRAME.pack(kind, len(closed)) + closed)

    def _check(self, manifest: Manifest) -> None:
        if self.finished or self._inside:
            raise Fault("its writing was broken off, or is finished.")
        if (manifest.tenant, manifest.taken_at) != (self.header.tenant, self.header.taken_at):
            raise Fault("its manifest is of another tenant or another moment than its header.")
        if [(table.name, table.measured) for table in manifest.tables] != list(self.members.items()):
            raise Fault("its manifest gives other tables, counts or digests than its members have.")


class _SignedFile:
    """A file to which everything is written once, under a running signature."""

    def __init__(self, file: BinaryIO, *, ring: KeyRing) -> None:
        self._file = file
        self._running = ring.authenticator(ring.current, purpose=PURPOSE)

    def write(self, data: bytes) -> None:
        self._running.update(data)
        with _told_of(self._file):
            self._file.write(data)

    def sign(self) -> None:
        self.write(FRAME.pack(SIGNATURE, SIGNATURE_LENGTH))
        with _told_of(self._file):
            self._file.write(self._running.digest())
            self._file.flush()


@contextlib.contextmanager
def write_archive(
    file: BinaryIO,
    *,
    tenant: uuid.UUID,
    taken_at: datetime.datetime,
    ring: KeyRing,
    data_key: DataKey | None = None,
    limits: Limits | None = None,
) -> Iterator[ArchiveWriter]:
    """Yields a writer of an archive at the end of *file*, signed by the ring's current key; encrypted with *data_key*.

    What is left before ``finish``, by an error or a crash, has no signature and is no archive.

    Raises: ArchiveError where the block ends well without ``finish``; StoreFull, StoreUnavailable.
    """
    header = Header(
        tenant=tenant,
        taken_at=taken_at,
        key=ring.current,
        salt=secrets.token_bytes(SALT_LENGTH),
        data_key=data_key.id if data_key else None,
    )
    out = _SignedFile(file, ring=ring)
    with _refusing():
        out.write(header.to_bytes())
    seal = Sealed(data_key, header) if data_key else Clear()
    writer = ArchiveWriter(out, header=header, seal=seal, limits=limits or Limits())
    yield writer
    if not writer.finished:
        raise ArchiveError(what="The writing of an archive ended without its manifest.", fix="Call finish(manifest).")


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        what = f"What was written could not be read again: {fault}"
        raise ArchiveError(what=what, fix="Mend that and begin again; the file counts as none.") from fault


@contextlib.contextmanager
def _told_of(file: BinaryIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = str(getattr(file, "name", "the archive"))
        raise unwritten(error, name=name, store=name) from error
