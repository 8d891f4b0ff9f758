"""Clients killed at random: as many effects as keys, and one answer for each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cells import SYNC_PLACES, Ground, Place
from sqlalchemy import select

from .models import Order


def run_clients(ground: Ground, place: Place, **job: Any) -> dict[str, Any]:
    """Returns the figures of a run, having compared what the clients were told with what is there."""
    logins = dict(ground.urls) if place.postgresql else {}
    url = logins.pop("app_url") if place.postgresql else ground.sqlite_url
    slug = f"near-{place.cell}"
    with ground.session(place) as door:
        before = set(door.session.scalars(select(Order.call)))
    asked = json.dumps({"url": url, "logins": logins, "slug": slug, **job})
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, Path(__file__).with_name("clients.py")],
        input=asked,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    with ground.session(place) as door:
        effects = sorted(set(door.session.scalars(select(Order.call))) - before)
    assert effects == sorted(f"{key} {mark}" for key, mark in figures.pop("seen").items())
    return {"effects": len(effects), **figures, "seconds": round(time.monotonic() - began, 1)}


@pytest.mark.parametrize("place", [SYNC_PLACES[0], SYNC_PLACES[3]], ids=str)
def test_killed_clients_have_one_effect_for_each_key(ground: Ground, place: Place) -> None:
    figures = run_clients(ground, place, clients=4, calls=30, keys=3, kills=0.03)
    assert (figures["effects"], figures["answers"]) == (3, 120)
    assert figures["deaths"] > 0


@pytest.mark.soak
@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_sixteen_clients_with_twenty_keys(ground: Ground, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run_clients(ground, place, clients=16, calls=1000, keys=20, kills=0.005)
    with capsys.disabled():
        print(f"\n{place.cell}: {figures}")
    assert (figures["effects"], figures["answers"]) == (20, 16_000)
    assert figures["deaths"] > 50
