"""A thousand single corruptions of an archive: each is found before a row of it is used."""

from __future__ import annotations

import io
from collections.abc import Iterator
from random import Random

import pytest

from tenantry.archive.container import open_archive
from tenantry.archive.keys import DataKey
from tenantry.errors import ArchiveDamaged, ArchiveForeign, ArchiveKeyMissing, ArchiveSealed

from .building import RING, TABLES
from .corrupting import CORRUPTIONS, DATA_KEY, Corrupt, sound

KEY = DataKey("3f2a", DATA_KEY)
FOUND = (ArchiveDamaged, ArchiveForeign)


def test_they_are_a_thousand_and_what_they_start_from_is_sound() -> None:
    assert sum(CORRUPTIONS.values()) == 1000
    for sealed in (False, True):
        archive = open_archive(io.BytesIO(sound(sealed).signed()), RING, data_key=lambda *_: KEY)
        assert {name: b"".join(archive.rows(name)) for name in TABLES} == TABLES


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda corrupt: corrupt.__name__)
def test_every_corruption_is_found(corrupt: Corrupt) -> None:
    random = Random(corrupt.__name__)
    passed = [number for number in range(CORRUPTIONS[corrupt]) if not _found(corrupt(random, number % 2 == 1))]
    assert passed == []


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda corrupt: corrupt.__name__)
def test_whoever_reads_without_looking_first_gets_right_rows_or_none(corrupt: Corrupt) -> None:
    random = Random(corrupt.__name__)
    for number in range(20):
        data = corrupt(random, number % 2 == 1)
        taken: dict[str, bytes] = {}
        with pytest.raises((*FOUND, ArchiveKeyMissing, ArchiveSealed)):
            _take(data, taken)
        assert taken.items() <= TABLES.items()
        assert len(taken) < len(TABLES)


@pytest.mark.soak
def test_every_bit_of_an_archive_counts_and_twenty_thousand_corruptions_are_found() -> None:
    flipped = [_found(data) for sealed in (False, True) for data in _every_bit_flipped(sound(sealed).signed())]
    random = Random(2026)
    others = [_found(corrupt(random, n % 2 == 1)) for corrupt in CORRUPTIONS for n in range(20 * CORRUPTIONS[corrupt])]
    print(f"\n{sum(flipped)} of {len(flipped)} single bits and {sum(others)} of {len(others)} corruptions found")
    assert all(flipped)
    assert all(others)


def _every_bit_flipped(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def _found(data: bytes) -> bool:
    try:
        open_archive(io.BytesIO(data), RING, data_key=lambda *_: KEY)
    except FOUND:
        return True
    except (ArchiveKeyMissing, ArchiveSealed) as error:
        # A flipped bit in the header that names the keys.
        return error.key not in ("2026", "3f2a")
    return False


def _take(data: bytes, taken: dict[str, bytes]) -> None:
    archive = open_archive(io.BytesIO(data), RING, data_key=lambda *_: KEY, contents=False)
    for name in TABLES:
        for chunk in archive.rows(name):
            taken[name] = taken.get(name, b"") + chunk
