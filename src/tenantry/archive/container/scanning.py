"""The first pass over a file: every frame's length and the signature, before anything in it is believed."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tenantry.archive.container.faults import Fault
from tenantry.archive.container.framing import (
    BEGIN,
    DATA,
    END,
    FRAME,
    LONGEST_NAME,
    MANIFEST,
    PREFIX,
    PURPOSE,
    SIGNATURE,
    SIGNATURE_LENGTH,
    TAG_LENGTH,
    Header,
    Limits,
    header_from,
    header_length,
)
from tenantry.archive.keys import KeyRing
from tenantry.errors import ArchiveKeyMissing


@dataclass(frozen=True, slots=True)
class Span:
    """Where one member stands: its name as it is in the file, and where its frames begin and end."""

    name: bytes
    number: int
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """A file whose signature holds."""

    header: Header
    spans: tuple[Span, ...]
    manifest: bytes
    manifest_number: int


def scan(file: BinaryIO, ring: KeyRing, *, name: str, limits: Limits) -> Scanned:
    """Reads *file* once from its beginning and returns what stands where, holding no more than names and the manifest.

    Raises: Fault, Strange; ArchiveKeyMissing; OSError.
    """
    file.seek(0)
    prefix = file.read(PREFIX.size)
    payload = file.read(header_length(prefix, limits))
    header = header_from(payload)
    if header.key not in ring:
        raise ArchiveKeyMissing(name=name, key=header.key)
    running = ring.authenticator(header.key, purpose=PURPOSE)
    running.update(prefix + payload)
    return _Scan(file, running, limits=limits).run(header, offset=len(prefix) + len(payload))


class _Scan:
    """What is behind the head of a file, taken frame by frame under the running signature."""

    def __init__(self, file: BinaryIO, running: hmac.HMAC, *, limits: Limits) -> None:
        self._file = file
        self._running = running
        self._limits = limits
        self._offset = 0
        self._number = -1
        self._kind = b""
        self._payload = b""

    def run(self, header: Header, *, offset: int) -> Scanned:
        self._offset = offset
        spans = tuple(self._spans())
        manifest, number = self._payload, self._number
        self._check_signature()
        return Scanned(header, spans, manifest, number)

    def _spans(self) -> Iterator[Span]:
        """Yields the members; the frame behind them, which is in hand then, is the manifest."""
        members = 0
        while self._next() == BEGIN:
            members += 1
            if members > self._limits.members:
                raise Fault(f"it has more than {self._limits.members} members.")
            begun = (self._payload, self._number, self._offset)
            while self._next() == DATA:
                pass
            if self._kind != END:
                raise Fault("a member does not end.")
            yield Span(*begun, self._offset)
        if self._kind != MANIFEST:
            raise Fault("it has no manifest where one belongs.")

    def _next(self) -> bytes:
        head = self._take(FRAME.size)
        kind, length = FRAME.unpack(head)
        if not self._least(kind) <= length <= self._most(kind):
            raise Fault(f"it has a frame of kind {kind!a} and {length} bytes.")
        self._kind, self._payload = kind, self._take(length)
        self._number += 1
        return bytes(kind)

    def _least(self, kind: bytes) -> int:
        return 0 if kind == END else 1

    def _most(self, kind: bytes) -> int:
        most = {BEGIN: LONGEST_NAME, DATA: self._limits.frame, END: 0, MANIFEST: self._limits.manifest}
        return most[kind] + TAG_LENGTH if kind in most else -1

    def _take(self, length: int) -> bytes:
        found = self._file.read(length)
        if len(found) < length:
            raise Fault("it ends too early.")
        self._running.update(found)
        self._offset += length
        return found

    def _check_signature(self) -> None:
        head = self._take(FRAME.size)
        if head != FRAME.pack(SIGNATURE, SIGNATURE_LENGTH):
            raise Fault("it has no signature where one belongs.")
        given = self._file.read(SIGNATURE_LENGTH)
        if not hmac.compare_digest(given, self._running.digest()):
            raise Fault("its signature does not hold: it was changed, or signed by somebody else.")
        if self._file.read(1):
            raise Fault("it goes on behind its signature.")
