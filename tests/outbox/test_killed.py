"""Producers and relays killed at random: no event is lost, none out of its order, none twice once acknowledged."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from cells import CELLS, SYNC_PLACES, Ground
from sqlalchemy import delete, func, select

from .models import Effect, Note

PROGRAM = Path(__file__).with_name("relays.py")


def empty(ground: Ground) -> dict[str, list[str]]:
    """Returns the tenants of each database, with nothing in them."""
    tenants: dict[str, list[str]] = {"postgresql": [], "sqlite": []}
    for place in SYNC_PLACES:
        tables = ground.made(place).tables
        for side in ("near", "far"):
            tenants[place.cell.partition("-")[0]].append(f"{side}-{place.cell}")
            with ground.session(place, side) as door:
                for table in (tables.events, tables.streams, Note.__table__, Effect.__table__):
                    door.session.execute(delete(table))
                door.commit()
    return tenants


def run_relays(ground: Ground, log: Path, **options: Any) -> dict[str, Any]:
    """Returns the figures of a run, each checked against the log and the rows."""
    log.touch()
    logins = dict(ground.urls)
    tenants = empty(ground)
    job = {
        "postgresql": {"url": logins.pop("app_url"), "logins": logins, "tenants": tenants["postgresql"]},
        "sqlite": {"url": ground.sqlite_url, "logins": {}, "tenants": tenants["sqlite"]},
        "log": str(log),
        **options,
    }
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, PROGRAM], input=json.dumps(job), capture_output=True, text=True, timeout=1800
    )
    assert ended.returncode == 0, ended.stderr
    figures = {**json.loads(ended.stdout), "seconds": round(time.monotonic() - began, 1)}
    streams = defaultdict(list)
    for line in log.read_text().splitlines():
        what, tenant, *rest = json.loads(line)
        streams[tenant].append((what, *rest))
    assert len(streams) == 2 * len(CELLS)
    checked = [check_stream(stream, options) for stream in streams.values()]
    effects = check_effects(ground, options)
    totals = {name: sum(each[name] for each in checked) for name in ("events", "repeated")}
    return {**totals, "effects inside": effects, **figures}


def check_stream(stream: list[tuple[Any, ...]], options: dict[str, Any]) -> dict[str, int]:
    """Reads one tenant's log from its beginning."""
    newest, handled, acknowledged = 0, Counter(), set()
    identities: dict[int, str] = {}
    changes = defaultdict(list)
    for what, number, event, producer, change in stream:
        if what == "acknowledged":
            assert number == newest
            acknowledged.add(number)
            continue
        # Nothing is handled once it was acknowledged, and nothing before all that comes earlier.
        assert number not in acknowledged
        assert number in (newest, newest + 1), (newest, number)
        if number > newest:
            changes[producer].append(change)
        newest = number
        handled[number] += 1
        assert identities.setdefault(number, event) == event
    events = options["producers"] * options["share"]
    assert newest == len(identities) == len(set(identities.values())) == events
    # What a producer committed one after the other comes in that order, and all of it.
    assert dict(changes) == {producer: list(range(options["share"])) for producer in range(options["producers"])}
    return {"events": events, "repeated": sum(handled.values()) - events}


def check_effects(ground: Ground, options: dict[str, Any]) -> int:
    """Returns how many events of transactional handlers took effect: each of them once, like the changes."""
    total = 0
    for place in SYNC_PLACES:
        events = ground.made(place).tables.events.c
        for side in ("near", "far"):
            with ground.session(place, side) as door:
                inside = door.session.scalars(select(events.id).where(events.topic == "transactional")).all()
                assert sorted(door.session.scalars(select(Effect.event))) == sorted(inside)
                changes = door.session.scalars(select(func.count()).select_from(Note)).one()
                assert changes == options["producers"] * options["share"]
                total += len(inside)
    return total


def test_killed_relays_lose_nothing(ground: Ground, tmp_path: Path) -> None:
    figures = run_relays(ground, tmp_path / "log", producers=2, share=5, relays=2, kills=2, deaths=0.0, lease=3.0)
    assert figures["events"] == 100
    assert figures["deaths"] > 0


@pytest.mark.soak
def test_ten_thousand_events(ground: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run_relays(ground, tmp_path / "log", producers=2, share=500, relays=3, kills=150, deaths=0.002, lease=3.0)
    with capsys.disabled():
        print(f"\n{len(CELLS)} cells, two tenants each: {figures}")
    assert figures["events"] == 10_000
    assert figures["deaths"] > 50
    assert figures["repeated"] > 0
