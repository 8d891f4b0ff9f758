"""Single corruptions of an archive: by whoever can write the file, and by whoever holds the signing key besides."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from . import forging
from .building import TABLES
from .forging import Forged

DATA_KEY = bytes(range(100, 132))

Corrupt = Callable[[Random, bool], bytes]


def sound(sealed: bool, tables: dict[str, bytes] = TABLES) -> Forged:
    return forging.whole(tables, data_key=DATA_KEY if sealed else None, data_key_id="3f2a" if sealed else None)


def bit_flipped(random: Random, sealed: bool) -> bytes:
    data = bytearray(sound(sealed).signed())
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def byte_dropped(random: Random, sealed: bool) -> bytes:
    data = sound(sealed).signed()
    at = random.randrange(len(data))
    return data[:at] + data[at + 1 :]


def byte_added(random: Random, sealed: bool) -> bytes:
    data = sound(sealed).signed()
    at = random.randrange(len(data) + 1)
    return data[:at] + random.randbytes(1) + data[at:]


def stretch_zeroed(random: Random, sealed: bool) -> bytes:
    """A block that the disk gave back empty."""
    data = sound(sealed).signed()
    at = random.randrange(len(data))
    end = min(len(data), at + random.randrange(1, 512))
    return data[:at] + bytes(byte ^ 0xFF if not byte else 0 for byte in data[at:end]) + data[end:]


def frame_dropped(random: Random, sealed: bool) -> bytes:
    head, frames, signature = forging.parts(sound(sealed).signed())
    del frames[random.randrange(len(frames))]
    return head + b"".join(forging.framed(*frame) for frame in frames) + signature


def frame_doubled(random: Random, sealed: bool) -> bytes:
    head, frames, signature = forging.parts(sound(sealed).signed())
    at = random.randrange(len(frames))
    frames.insert(at, frames[at])
    return head + b"".join(forging.framed(*frame) for frame in frames) + signature


def frames_exchanged(random: Random, sealed: bool) -> bytes:
    """The signature is made anew; what is sealed still knows its place."""
    _, frames, _ = forging.parts(sound(sealed).signed())
    head = sound(sealed).head()
    data = [at for at, (kind, _) in enumerate(frames) if kind == b"D"]
    left, right = random.sample(data, 2)
    frames[left], frames[right] = frames[right], frames[left]
    return forging.signed(head + b"".join(forging.framed(*frame) for frame in frames))


def row_dropped(random: Random, sealed: bool) -> bytes:
    return _rows(random, sealed, lambda lines, at: lines[:at] + lines[at + 1 :])


def row_doubled(random: Random, sealed: bool) -> bytes:
    return _rows(random, sealed, lambda lines, at: lines[: at + 1] + lines[at:])


def rows_out_of_order(random: Random, sealed: bool) -> bytes:
    return _rows(random, sealed, lambda lines, at: [lines[at], *lines[:at], *lines[at + 1 :]] if at else lines[::-1])


def null_emptied(random: Random, sealed: bool) -> bytes:
    def emptied(lines: list[bytes], at: int) -> list[bytes]:
        return [*lines[:at], lines[at].replace(b"\\N", b"", 1), *lines[at + 1 :]]

    return _rows(random, sealed, emptied)


def digit_changed(random: Random, sealed: bool) -> bytes:
    def changed(lines: list[bytes], at: int) -> list[bytes]:
        line = lines[at]
        digit = line[:1]
        return [*lines[:at], bytes([(digit[0] - 0x30 + 1) % 10 + 0x30]) + line[1:], *lines[at + 1 :]]

    return _rows(random, sealed, changed)


def manifest_off_by_one(random: Random, sealed: bool) -> bytes:
    forged = sound(sealed)
    said = json.loads(forged.frames[-1][1])
    table = said["tables"][random.randrange(4)]
    field = random.choice(["rows", "size", "sha256"])
    if field == "sha256":
        at = random.randrange(64)
        table[field] = table[field][:at] + f"{(int(table[field][at], 16) + 1) % 16:x}" + table[field][at + 1 :]
    else:
        table[field] += random.choice([-1, 1])
    forged.frames[-1] = (b"M", forging.spelled(said))
    return forged.signed()


def _rows(random: Random, sealed: bool, change: Callable[[list[bytes], int], list[bytes]]) -> bytes:
    """The rows of one table are changed and signed again, under the manifest of those that were there."""
    lines = TABLES["tickets"].splitlines(keepends=True)
    changed = b"".join(change(lines, random.randrange(len(lines))))
    assert changed != TABLES["tickets"]
    forged = sound(sealed, TABLES | {"tickets": changed})
    forged.frames[-1] = sound(sealed).frames[-1]
    return forged.signed()


# How many of each: a thousand in all.
CORRUPTIONS: dict[Corrupt, int] = {
    bit_flipped: 400,
    byte_dropped: 60,
    byte_added: 60,
    stretch_zeroed: 60,
    frame_dropped: 60,
    frame_doubled: 60,
    frames_exchanged: 50,
    row_dropped: 50,
    row_doubled: 50,
    rows_out_of_order: 50,
    null_emptied: 50,
    digit_changed: 25,
    manifest_off_by_one: 25,
}
