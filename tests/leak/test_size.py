"""The suite is as large as it says: routes, uses, and routes that lead to foreign rows where no wall stands."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from .suite import Trial
from .worlds import CELLS, Place


def _trials(kind: str) -> list[Trial]:
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    modules = [importlib.import_module(f".{file.stem}", __package__) for file in files]
    found = [value.trial for module in modules for value in vars(module).values() if hasattr(value, "trial")]
    return [trial for trial in found if trial.kind == kind]


def _fitting(kind: str, cell: str) -> list[Trial]:
    places = [Place(cell, door) for door in CELLS[cell]]
    return [trial for trial in _trials(kind) if any(trial.fits(place) for place in places)]


@pytest.mark.parametrize("cell", CELLS)
def test_a_hundred_routes(cell):
    assert len(_fitting("route", cell)) >= 100


@pytest.mark.parametrize("cell", CELLS)
def test_sixty_uses(cell):
    assert len(_fitting("use", cell)) >= 60


@pytest.mark.parametrize("cell", CELLS)
def test_nine_in_ten_routes_leak_without_a_wall(cell):
    """Each route's own control test proves that it leaks there, or that what is said to be harmless is."""
    routes = _fitting("route", cell)
    assert sum(trial.harmless is None for trial in routes) >= 0.9 * len(routes)
