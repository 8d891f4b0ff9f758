"""A hundred hostile archives: every one refused by a typed error, nothing executed, nothing written, memory bounded."""

from __future__ import annotations

import base64
import functools
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenantry import errors
from tenantry.archive.container import Limits, open_archive

from . import forging, hostile
from .building import RING, TABLES, built


class Watched(io.BytesIO):
    """A file that notes how much of it is asked for at once."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked_for: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size >= 0
        self.asked_for.append(size)
        return super().read(size)


PROGRAM = Path(__file__).with_name("reading_hostile.py")
# KiB that reading may take beyond what the program has. Two files may have more, which only whoever holds the key can
# make: a manifest of four million bytes, read into Python's lists; a row, held as far as a row may go.
ROOM = 16 << 10
ROOM_OF = {"manifest of a million lists": 160 << 10, "row without end": 400 << 10}


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """What was laid into the directory: the name of each file in the store, and what it is."""
    return {f"hostile/{number:03}": what for number, (what, _) in enumerate(_in_order())}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("archives")
    work = tmp_path_factory.mktemp("work")
    (place / "hostile").mkdir()
    for number, (_, data) in enumerate(_in_order()):
        (place / "hostile" / f"{number:03}").write_bytes(data)
    (place / "sound").write_bytes(built(TABLES))
    before = _tree(place)
    ran = subprocess.run(
        [sys.executable, "-W", "error", PROGRAM, place, base64.b64encode(forging.KEY).decode()],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout) | {"written": [*work.iterdir(), *(_tree(place).items() ^ before.items())]}


def test_each_is_refused_by_an_error_of_ours(files: dict[str, str], outcome: dict[str, Any]) -> None:
    assert len(files) >= 100
    assert outcome["became"].keys() == files.keys()
    strange = {
        files[name]: became
        for name, became in outcome["became"].items()
        if not issubclass(getattr(errors, became, object), errors.ArchiveError)
    }
    assert strange == {}


def test_nothing_is_executed_written_or_called(outcome: dict[str, Any]) -> None:
    assert outcome["noted"] == []
    assert outcome["written"] == []


def test_memory_is_bounded(files: dict[str, str], outcome: dict[str, Any]) -> None:
    assert list(files.values())[-2:] == list(ROOM_OF)
    peaks = {files[name]: peak for name, peak in outcome["peaks"].items()}
    assert {what: peak for what, peak in peaks.items() if peak > ROOM_OF.get(what, ROOM)} == {}


def test_nothing_asks_for_more_of_the_file_than_a_manifest_may_be() -> None:
    for _, data in _in_order():
        file = Watched(data)
        with pytest.raises(errors.ArchiveError):
            open_archive(file, RING)
        assert max(file.asked_for) <= Limits().manifest + 16


def test_nobody_gets_more_rows_than_the_manifest_says() -> None:
    """Signed by an insider, and read without looking first: a few bytes that stand for sixteen million rows."""
    bomb = dict(_in_order())["bomb of rows"]
    taken: list[bytes] = []
    with pytest.raises(errors.ArchiveDamaged, match="more bytes than its manifest says"):
        taken.extend(open_archive(io.BytesIO(bomb), RING, contents=False).rows("a"))
    assert taken == []


def test_rows_that_would_do_harm_elsewhere_are_data_here() -> None:
    rows = hostile.harmless_looking()
    archive = open_archive(io.BytesIO(built(rows)), RING)
    assert {name: b"".join(archive.rows(name)) for name in rows} == rows


@functools.cache
def _in_order() -> list[tuple[str, bytes]]:
    """The peak of memory never falls, so what needs most comes last."""
    return sorted(hostile.all_of_them(), key=lambda pair: ROOM_OF.get(pair[0], ROOM))


def _tree(place: Path) -> dict[str, int]:
    return {str(path.relative_to(place)): path.stat().st_size for path in place.rglob("*")}
