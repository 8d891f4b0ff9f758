"""Writers that are killed: no change without its entry, no entry without its change."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cells import SYNC_PLACES, Ground, Place
from sqlalchemy import func, select

from .models import Person

PROGRAM = [sys.executable, str(Path(__file__).with_name("writers.py")), "--tell"]
KILLED = [place for place in SYNC_PLACES if place.cell in ("postgresql-rows", "sqlite-file")]


def kill(ground: Ground, place: Place, times: int) -> tuple[int, int]:
    """Returns how many rows the killed writers left, and how many entries tell of them."""
    urls = dict(ground.urls) if place.postgresql else {"app_url": ground.sqlite_url}
    job = {"url": urls.pop("app_url"), "logins": urls, "slug": f"near-{place.cell}", "threads": 2, "turns": 100_000}
    before = _count(ground, place)
    for number in range(times):
        with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(job))
            process.stdin.close()
            for _ in range(1 + number % 7):
                assert process.stdout.readline()
            process.kill()
    after = _count(ground, place)
    return after[0] - before[0], after[1] - before[1]


def _count(ground: Ground, place: Place) -> tuple[int, int]:
    entries = ground.made(place).recorder.tables.entries
    created = select(func.count()).select_from(entries).where(entries.c.event_type == "people.created")
    with ground.session(place) as door:
        session = door.session
        return session.scalars(select(func.count()).select_from(Person)).one(), session.scalars(created).one()


@pytest.mark.parametrize("place", KILLED, ids=str)
def test_a_killed_writer_leaves_change_and_entry_or_neither(ground: Ground, place: Place) -> None:
    rows, entries = kill(ground, place, 1)
    assert rows == entries > 0
    assert ground.made(place).verify(f"near-{place.cell}") == []


@pytest.mark.soak
@pytest.mark.parametrize("place", KILLED, ids=str)
def test_two_hundred_killed_writers_do_too(ground: Ground, place: Place, capsys: Any) -> None:
    rows, entries = kill(ground, place, 100)
    with capsys.disabled():
        print(f"\n{place}: 100 writers killed, {rows} rows, {entries} entries of them")
    assert rows == entries
    assert ground.made(place).verify(f"near-{place.cell}") == []
