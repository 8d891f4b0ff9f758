"""Writers at once, in threads and in processes: one chain, without a fork and without a gap."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cells import SYNC_PLACES, Ground, Place

PROGRAM = [sys.executable, str(Path(__file__).with_name("writers.py"))]
PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
RACED = [place for place in SYNC_PLACES if place.cell in ("postgresql-rows", "sqlite-file", "sqlite-rows")]


def race(ground: Ground, place: Place, *, processes: int, **job: int) -> tuple[int, int]:
    """Returns how many entries all the writers left, and how many the chain has more than before."""
    urls = dict(ground.urls) if place.postgresql else {"app_url": ground.sqlite_url}
    asked = json.dumps({"url": urls.pop("app_url"), "logins": urls, "slug": f"near-{place.cell}", **job})
    before, left = length(ground, place), 0
    with ExitStack() as ends:
        running = [ends.enter_context(subprocess.Popen(PROGRAM, **PIPES)) for _ in range(processes)]
        for process in running:
            process.stdin.write(asked)
            process.stdin.close()
        for process in running:
            left += int(process.stdout.read())
    assert {process.returncode for process in running} == {0}
    return left, length(ground, place) - before


def length(ground: Ground, place: Place) -> int:
    with ground.session(place) as door:
        newest = ground.made(place).entries(door.session, limit=1, newest_first=True)
        return newest[0].seq if newest else 0


@pytest.mark.parametrize("place", RACED[:2], ids=str)
def test_writers_at_once_leave_one_chain(ground: Ground, place: Place) -> None:
    left, longer = race(ground, place, processes=2, threads=3, turns=5)
    assert left == longer == 2 * 3 * 13
    assert ground.made(place).verify(f"near-{place.cell}") == []


@pytest.mark.soak
@pytest.mark.parametrize("place", RACED, ids=str)
def test_sixteen_writers_leave_one_chain(ground: Ground, place: Place, capsys: Any) -> None:
    begun = time.monotonic()
    left, longer = race(ground, place, processes=4, threads=4, turns=100)
    spent = time.monotonic() - begun
    findings = ground.made(place).verify(f"near-{place.cell}")
    with capsys.disabled():
        print(f"\n{place}: 16 writers (4 processes x 4 threads), {left} entries, {longer} in the chain, ", end="")
        print(f"{len(findings)} findings, {longer / spent:.0f} entries a second")
    assert left == longer == 16 * 260
    assert findings == []
