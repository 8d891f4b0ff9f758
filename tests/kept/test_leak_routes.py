"""Every route of the leak suite, aimed at append-only rows of the tenant's own: none of them changes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from leak.worlds import PLACES, Place

from . import routes

SHORT = ("test_text_sql", "test_core_tables", "test_bulk", "test_cascades", "test_sqlite")
WALLED = [place for place in PLACES if not place.control]


def _writing(place: Place, server: Any, directory: Path) -> list[Any]:
    """Returns the routes that change rows of the tenant's own where nothing keeps them."""
    found = []
    with routes.world(place, server, directory, append_only=False) as world:
        before = routes.rows(world)
        for trial in routes.routes(place):
            routes.attempt(trial, world)
            if routes.lost(before, routes.rows(world)):
                found.append(trial)
                routes.repair(world)
                before = routes.rows(world)
    return found


def _changing(tried: list[Any], world: Any) -> list[tuple[str, str]]:
    """Returns the routes that changed a row, with its table."""
    changed = []
    for trial in tried:
        before = routes.rows(world)
        routes.attempt(trial, world)
        changed += [(trial.function.__name__, title) for title in routes.lost(before, routes.rows(world))]
    return changed


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", [place for place in WALLED if str(place) == "sqlite-rows-sync"], ids=str)
def test_no_text_or_core_route_changes_a_row(place: Place, postgres: Any, tmp_path: Path) -> None:
    with routes.world(place, postgres, tmp_path / "kept", append_only=True) as world:
        tried = [trial for trial in routes.routes(place) if trial.function.__module__.endswith(SHORT)]
        assert len(tried) > 50
        assert _changing(tried, world) == []


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", WALLED, ids=str)
def test_no_route_changes_a_row(
    place: Place, postgres: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writing = _writing(place, postgres, tmp_path / "open")
    with routes.world(place, postgres, tmp_path / "kept", append_only=True) as world:
        tried = routes.routes(place)
        changed = _changing(tried, world)
    with capsys.disabled():
        print(f"\n{place}: {len(tried)} routes, {len(writing)} change plain rows, {len(changed)} append-only ones")
    assert changed == []
    assert len(writing) >= 20
