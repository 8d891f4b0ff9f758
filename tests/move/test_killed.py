"""A move killed at any step, with eight writers on its tenant: nothing that was acknowledged is lost or stands twice,
nothing is left over, and no two places take writes at once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .crews import Crew, Mover, check_all_there, check_never_two, in_words, longest, started
from .grounds import PLACES, Ground
from .traces import check_no_traces

WRITERS = 8
# Of each scene in a soak; each step is killed in two scenes or more.
TRIALS = int(os.environ.get("MOVE_TRIALS", "20"))
# What is announced while a move goes out, and within its steps; then while it comes back, and while it ends.
OUT = ("prepare", "place", "copy", "catch up", "fence", "delta", "compare", "depart", "open", "switch", "keep")
BACK = ("prepare", "place", "catch up", "fence", "delta", "compare", "depart", "open", "switch", "drop")
END = ("drop",)
UNDO = ("undo",)
# From where to where; each kind of place is left, and each is come to.
ROADS = (("rows", "schema"), ("schema", "other rows"), ("file", "rows"), ("database", "common file"))


class Trial:
    """One tenant with its writers, which is moved, killed, and brought to an end."""

    def __init__(
        self, ground: Ground, programs: Programs, slug: str, directory: Path, *, start: str, sqlite: bool
    ) -> None:
        self.ground, self.mover, self.slug = ground, programs.mover, slug
        ground.settle(slug, start)
        self.crew = Crew(ground, programs.writers, slug, directory, writers=WRITERS, sqlite=sqlite)
        self.stalls: list[tuple[float, float]] = []
        self.crew.write_on()

    def go(self, verb: str, *, step: str | None = None, nth: int = 1, place: str | None = None) -> dict[str, Any]:
        """Does one thing, or dies of it."""
        options = dict(zip(("server", "isolation"), PLACES[place], strict=True)) if place else {}
        begun = time.monotonic()
        ended = self.mover.run(verb, self.slug, step=step, nth=nth, options=options)
        self.stalls.append((begun, time.monotonic()))
        return ended

    def kill(self, verb: str, step: str, *, nth: int = 1, place: str | None = None) -> None:
        """Does one thing and dies before a step."""
        ended = self.go(verb, step=step, nth=nth, place=place)
        assert ended["status"] == -signal.SIGKILL, ended

    def do(self, verb: str, *, place: str | None = None) -> None:
        """Does one thing to its end, after which the writers write on."""
        ended = self.go(verb, place=place)
        assert ended["status"] == 0, ended
        self.crew.write_on()

    def end(self, *, lives: str) -> list[float]:
        """Ends the writers, checks everything, and returns for how long each waited at most during a move."""
        writes = self.crew.end()
        check_all_there(self.ground, self.slug, writes)
        check_never_two(writes)
        tenant = self.ground.tenancy.tenants.get(self.slug)
        assert (tenant.server, tenant.isolation.value) == PLACES[lives]
        check_no_traces(self.ground, self.slug, but=lives)
        assert self.ground.behaviours.audit.verify(self.slug) == []
        return [wait for stall in self.stalls for wait in longest(writes, *stall)]


class Programs:
    """What runs beside the tests of this module."""

    def __init__(self, ground: Ground) -> None:
        self.mover = Mover(ground)
        self.writers = started("writing.py")

    def close(self) -> None:
        self.writers.close()
        self.mover.close()


@pytest.fixture(scope="module")
def programs(ground: Ground) -> Iterator[Programs]:
    programs, around = Programs(ground), ground.around()
    yield programs
    programs.close()
    assert ground.around() == around


def run_trial(ground: Ground, programs: Programs, directory: Path, number: int, scene: tuple[str, ...]) -> list[float]:
    """Runs one trial: *scene* is what is killed, at which step, and what is done then."""
    kind, step, then = scene
    start, goal = ROADS[number % len(ROADS)]
    sqlite = any("file" in end for end in (start, goal))
    trial = Trial(ground, programs, f"killed-{number}", directory, start=start, sqlite=sqlite)
    try:
        lives = SCENES[kind](trial, step, then, start, goal)
        return trial.end(lives=lives)
    finally:
        trial.crew.kill()


def kill_out(trial: Trial, step: str, then: str, start: str, goal: str) -> str:
    """Dies on the way out; goes on from there, or back."""
    trial.kill("start", step, place=goal)
    trial.do(then)
    if then == "rollback":
        return start
    trial.do("finalize")
    return goal


def kill_back(trial: Trial, step: str, then: str, start: str, goal: str) -> str:
    """Dies on the way back from the new place; goes on."""
    trial.do("start", place=goal)
    trial.kill("rollback", step)
    trial.do(then)
    return start


def kill_end(trial: Trial, step: str, then: str, start: str, goal: str) -> str:
    """Dies while the old place is emptied; goes on."""
    trial.do("start", place=goal)
    trial.kill("finalize", step)
    trial.do(then)
    return goal


def kill_undo(trial: Trial, step: str, then: str, start: str, goal: str) -> str:
    """Dies while a move that had not left yet is taken back; goes on with that."""
    trial.kill("start", "fence", place=goal)
    trial.kill("rollback", step)
    trial.do(then)
    return start


SCENES = {"out": kill_out, "back": kill_back, "end": kill_end, "undo": kill_undo}
ALL = [
    *(("out", step, then) for step in OUT for then in ("resume", "rollback")),
    *(("back", step, then) for step in BACK for then in ("resume", "rollback")),
    *(("end", step, then) for step in END for then in ("resume", "finalize")),
    *(("undo", step, then) for step in UNDO for then in ("resume", "rollback")),
]
# Where most can go wrong: a place half made, a copy half done, the fence up, between two places, on the way back.
FEW = [
    ("out", "place", "rollback"),
    ("out", "copy", "resume"),
    ("out", "switch", "rollback"),
    ("back", "open", "resume"),
]


@pytest.mark.parametrize("number", range(len(FEW)), ids=lambda number: "-".join(FEW[number]).replace(" ", "-"))
def test_a_move_killed_at_a_step(ground: Ground, programs: Programs, tmp_path: Path, number: int) -> None:
    waits = run_trial(ground, programs, tmp_path, number, FEW[number])
    print(f"\nwriters waited: {in_words(waits)}")


@pytest.mark.soak
@pytest.mark.parametrize("scene", ALL, ids=lambda scene: "-".join(scene).replace(" ", "-"))
def test_many_moves_killed_at_a_step(
    ground: Ground, programs: Programs, tmp_path: Path, scene: tuple[str, ...]
) -> None:
    waits: list[float] = []
    for number in range(TRIALS):
        place = tmp_path / str(number)
        place.mkdir()
        waits += run_trial(ground, programs, place, 1000 + ALL.index(scene) * TRIALS + number, scene)
    print(f"\n{'-'.join(scene)}: {TRIALS} trials, writers waited {in_words(waits)}")


def kill_anywhere(ground: Ground, programs: Programs, *, kills: int, seed: int) -> int:
    """Kills moves at one call of the library or another, goes on or back, and returns how many were killed."""
    dice, killed = random.Random(seed), 0
    whole = programs.mover.run("start", ground.settle(f"whole-{seed}", "rows"), calls=0, options=SCHEMA)["calls"]
    for number in range(kills):
        start, goal = ROADS[number % len(ROADS)]
        slug = ground.settle(f"anywhere-{seed}-{number}", start)
        before, options = ground.content(slug), dict(zip(("server", "isolation"), PLACES[goal], strict=True))
        ended = programs.mover.run("start", slug, calls=dice.randrange(1, whole), options=options)
        killed += ended["status"] == -signal.SIGKILL
        lives = start
        for status in ground.move.status(slug):
            then = dice.choice(("resume", "rollback"))
            lives = goal if then == "resume" else start
            if getattr(ground.move, then)(slug).state == "resting":
                ground.move.finalize(slug)
            assert status.abandoned or status.state == "resting"
        assert ground.content(slug) == before
        check_no_traces(ground, slug, but=lives)
    return killed


SCHEMA = {"isolation": "schema"}


def test_a_move_killed_anywhere(ground: Ground, programs: Programs) -> None:
    assert kill_anywhere(ground, programs, kills=2, seed=7) > 0


@pytest.mark.soak
def test_a_hundred_moves_killed_anywhere(ground: Ground, programs: Programs) -> None:
    killed = kill_anywhere(ground, programs, kills=100, seed=8)
    print(f"\n{killed} of 100 moves killed; each went on or back, with equal rows and nothing left over")
    assert killed >= 40
