"""The suite's own instruments: what B holds is really there, and a change of one row of B's does not pass unseen."""

from __future__ import annotations

import pytest

from .suite import foreign
from .worlds import PLACES, Place

GROUNDS = [Place(cell, "sync") for cell in {place.cell: None for place in PLACES}]


@pytest.fixture(params=GROUNDS, ids=lambda place: place.cell)
def world(request: pytest.FixtureRequest, worlds):
    return worlds.at(request.param)


def test_foreign_rows_stand_where_routes_aim(world):
    rows = world.ground.outside.rows()
    seen = [text for text in rows if world.b.canary in text]
    expected = ("ticket 0", "bug", "note 0", "tag 0", "comment 0", "invoice 0", "trace", "vendor", "company")
    assert all(any(word in text for text in seen) for word in expected)
    assert any(world.a.canary in text for text in rows)


def test_a_changed_foreign_row_is_noticed_and_repaired(world):
    outside = world.ground.outside
    assert outside.state() == outside.remembered
    outside.tamper("comments", "body", world.b.canary)
    changed = outside.state()
    outside.repair()
    assert changed.foreign != outside.remembered.foreign
    assert changed.own == outside.remembered.own
    assert outside.state() == outside.remembered


def test_foreign_values_are_recognised_wherever_they_hide(world):
    canary = world.b.canary
    hiding = [canary, f"x{canary}x", canary.encode(), (1, [canary]), {"k": {canary}}, 900_001, 1e6, ValueError(canary)]
    assert all(list(foreign(value, world)) for value in hiding)
    assert not list(foreign([world.a.canary, 7, None, True, b"", [], {"n": 4}], world))
