"""The members of a checked file: taken out of their frames, unpacked, and measured as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from tenantry.archive.container.faults import Fault
from tenantry.archive.container.framing import DATA, END, FRAME, Limits
from tenantry.archive.container.manifest import TableEntry
from tenantry.archive.container.measuring import PIECE, Measure
from tenantry.archive.container.scanning import Span
from tenantry.archive.container.sealing import Seal
from tenantry.archive.libraries import zstd
from tenantry.archive.lines import whole_lines


@dataclass(frozen=True, slots=True)
class Members:
    """Where each member stands in a file, and how its frames are opened."""

    file: BinaryIO
    spans: Mapping[str, Span]
    seal: Seal
    limits: Limits

    def rows(self, entry: TableEntry) -> Iterator[bytes]:
        """Yields the rows of one table in chunks of whole lines, the last of them once all were what *entry* says.

        Raises: Fault, OSError.
        """
        longest_row = min(self.limits.row, entry.size)
        measure = Measure(longest_row=longest_row)
        held = b""
        for chunk in whole_lines(self._unpacked(self.spans[entry.name]), refuse=_fault, longest=longest_row):
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
            options={zstd.DecompressionParameter.window_log_max: self.limits.window_log}
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
            self.file.seek(offset)
            kind, length = FRAME.unpack(self._exactly(FRAME.size))
            number += 1
            offset += FRAME.size + length
            # The file may have been changed since it was scanned.
            if offset > span.end or kind not in (DATA, END):
                raise Fault("it was changed while it was read.")
            payload = self.seal.open(self._exactly(length), kind=kind, number=number)
            if kind == DATA:
                yield payload
            elif payload:
                raise Fault("a member has something in the frame that ends it.")
            else:
                return

    def _exactly(self, length: int) -> bytes:
        found = self.file.read(length)
        if len(found) < length:
            raise Fault("it was cut while it was read.")
        return found


def _fault(reason: str) -> Fault:
    return Fault(f"{reason}.")


def _decompressed(decompressor: zstd.ZstdDecompressor, payload: bytes) -> Iterator[bytes]:
    """Unpacks in pieces of bounded size, however much a few bytes may stand for."""
    yield decompressor.decompress(payload, max_length=PIECE)
    while not (decompressor.needs_input or decompressor.eof):
        yield decompressor.decompress(b"", max_length=PIECE)
