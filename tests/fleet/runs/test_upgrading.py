"""A fleet is brought to head, home by home, whatever some of its homes have against it."""

from __future__ import annotations

import pytest

from tenantry import errors
from tenantry.errors import CanaryRefused, HookMissing, RunClosed, RunInProgress, RunUnknown
from tenantry.events import Step, listen
from tenantry.fleet import Position, RunState, Verb

from .worlds import World, check_once


def test_every_home_is_brought_to_head_once(world: World) -> None:
    with world.fleet() as fleet:
        assert {standing.position for standing in fleet.status().homes} == {Position.BEHIND}
        outcome = fleet.upgrade()
        assert outcome.ok
        assert len(outcome.done) == len(fleet.current()) == 14 + 3
        assert {standing.position for standing in fleet.status().homes} == {Position.AT}
        assert fleet.upgrade().works == ()
    check_once(world)
