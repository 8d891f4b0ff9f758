"""An upgrade killed at any step or statement is carried on: each revision once, nothing half-made."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tenantry.fleet import RunState, WorkState

from .crews import Crew
from .worlds import World, check_once

CATALOGS = ("pg", "files")


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.close()


def carry_on(world: World) -> None:
    """Resumes what a killed process left, and checks that every home is where it should be, once."""
    with world.fleet() as fleet:
        found = fleet.status().run
        outcome = fleet.resume() if found and not found.ok else fleet.upgrade()
        assert outcome.ok, outcome
        newest = fleet.status().run
        assert newest is not None
        assert newest.run.state is RunState.DONE
        assert {work.state for work in newest.works} == {WorkState.DONE}
    check_once(world)


@dataclass(frozen=True, slots=True)
class Toll:
    """How many processes were started to be killed, how many were, and how many places there are to be killed at."""

    trials: int
    killed: int
    places: int


def kill_at(world: World, crew: Crew, *, trials: int, what: str) -> Toll:
    """Kills at *trials* steps or statements, spread over a whole run; at each of them where there are no more."""
    world.reset()
    whole = crew.run(world, **{what: 0})
    assert whole.report == ["done"]
    last = {"step": whole.steps, "statement": whole.statements}[what]
    places = sorted(random.Random(trials).sample(range(1, last + 1), min(trials, last)))
    killed = 0
    for place in places:
        world.reset()
        killed += crew.run(world, **{what: place}).killed
        carry_on(world)
    return Toll(len(places), killed, last)


@pytest.mark.parametrize("what", ["step", pytest.param("statement", marks=pytest.mark.soak)])
def test_an_upgrade_killed_anywhere_is_carried_on(world: World, crew: Crew, what: str) -> None:
    assert kill_at(world, crew, trials=5, what=what).killed > 0


@pytest.mark.soak
@pytest.mark.parametrize(("what", "trials"), [("step", 1000), ("statement", 100)])
def test_a_hundred_upgrades_killed_anywhere_are_carried_on(world: World, crew: Crew, what: str, trials: int) -> None:
    toll = kill_at(world, crew, trials=trials, what=what)
    print(f"\nkilled at a {what}, catalog on {world.catalog}: {toll.killed} of {toll.trials} (places: {toll.places})")
    assert toll.killed > toll.trials / 2
