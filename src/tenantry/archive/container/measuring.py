"""Rows on their way into a member or out of it: counted, digested, and held to whole lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tenantry.archive.container.faults import Fault

PIECE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Measured:
    """How many rows a member has, how many bytes they are, and the SHA-256 of these."""

    rows: int
    size: int
    sha256: str


class Measure:
    """Measures one member while it passes."""

    def __init__(self, *, longest_row: int) -> None:
        self._longest_row = longest_row
        self._digest = hashlib.sha256()
        self._begun = 0
        self.rows = 0
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Counts *piece* in.

        Raises: Fault for a row that is too long.
        """
        self._digest.update(piece)
        self.rows += piece.count(b"\n")
        self.size += len(piece)
        end = piece.find(b"\n")
        if self._begun + (len(piece) if end < 0 else end) > self._longest_row:
            raise Fault(f"a row has more than {self._longest_row} bytes.")
        self._begun = self._begun + len(piece) if end < 0 else len(piece) - piece.rfind(b"\n") - 1

    def result(self) -> Measured:
        """Returns what was measured.

        Raises: Fault where the last row has no end.
        """
        if self._begun:
            raise Fault("the last row of a member has no end.")
        return Measured(self.rows, self.size, self._digest.hexdigest())


def pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the same bytes in pieces of ``PIECE`` bytes at most, and not many smaller ones."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield from _cut(b"".join(waiting))
            waiting, size = [], 0
    if size:
        yield from _cut(b"".join(waiting))


def _cut(whole: bytes) -> Iterator[bytes]:
    for start in range(0, len(whole), PIECE):
        yield whole[start : start + PIECE]
