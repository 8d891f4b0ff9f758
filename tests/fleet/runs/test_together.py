"""Several processes work on one fleet: no home is lost, none is done twice, and the dead are replaced."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture
def large(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[World]:
    """A hundred tenants, with the catalog in PostgreSQL or in SQLite."""
    world = World(postgres, tmp_path, catalog=request.param)
    world.fill(schema=50, database=10, file=40)
    yield world
    world.close()


def upgrade_at_once(world: World, crew: Crew, *, processes: int) -> None:
    """Has every process call for the same upgrade; one run comes of it, and all of them take part in it."""
    started = [crew.start(world, jobs=2) for _ in range(processes)]
    ends = [crew.wait(process) for process in started]
    assert [end.status for end in ends] == [0] * processes
    assert [end.report for end in ends] == [["done"]] * processes
    check_once(world)
    with world.fleet() as fleet:
        newest = fleet.newest_run()
        assert newest is not None
        assert {work.attempt for work in newest.works} == {1}, "no home was claimed twice"
        assert {work.state for work in newest.works} == {WorkState.DONE}


def test_upgraders_at_once_do_everything_once(world: World, crew: Crew) -> None:
    upgrade_at_once(world, crew, processes=4)


@pytest.mark.soak
@pytest.mark.parametrize("large", ["pg", "files"], indirect=True)
def test_eight_upgraders_at_once_over_a_hundred_tenants(large: World, crew: Crew) -> None:
    begun = time.monotonic()
    for _ in range(5):
        large.reset()
        upgrade_at_once(large, crew, processes=8)
    print(f"\n8 upgraders, 100 tenants, catalog on {large.catalog}: 5 times, 0 failures, 0 double runs", end="")
    print(f" ({time.monotonic() - begun:.0f} s with checks)")


def kill_one_of_three(world: World, crew: Crew, *, after: int) -> int:
    """Kills one of three workers once *after* homes are done, and returns how many homes it had in hand."""
    workers = [crew.start(world, jobs=2, options={"stall": 0.05}) for _ in range(3)]
    with world.fleet() as fleet:
        while (newest := fleet.newest_run()) is None or len(newest.done) < after:
            time.sleep(0.02)
        crew.kill(workers[0])
        assert crew.wait(workers[0]).killed
        newest = fleet.newest_run()
        assert newest is not None
        held = sum(f":{workers[0]}:" in str(work.holder) for work in newest.of(WorkState.RUNNING))
        for worker in workers[1:]:
            assert crew.wait(worker).report == ["done"]
        newest = fleet.newest_run()
        assert newest is not None
        assert newest.run.state is RunState.DONE
        assert {work.state for work in newest.works} == {WorkState.DONE}
    check_once(world)
    return held


def test_one_of_three_workers_is_killed(world: World, crew: Crew) -> None:
    kill_one_of_three(world, crew, after=4)


@pytest.mark.soak
@pytest.mark.parametrize("large", ["pg", "files"], indirect=True)
def test_one_of_three_workers_is_killed_over_a_hundred_tenants(large: World, crew: Crew) -> None:
    held = []
    for after in (5, 20, 40, 60, 80):
        large.reset()
        held.append(kill_one_of_three(large, crew, after=after))
    print(
        f"\none of 3 workers killed, catalog on {large.catalog}: homes in its hands {held}, nothing lost or run twice"
    )
    assert any(held)


def test_an_interrupt_leaves_a_run_that_can_be_resumed(world: World, crew: Crew) -> None:
    """What was in hand is finished, and what was only claimed is given back."""
    process = crew.start(world, jobs=2, options={"stall": 0.1})
    with world.fleet() as fleet:
        while (newest := fleet.newest_run()) is None or len(newest.done) < 4:
            time.sleep(0.02)
        crew.kill(process, signal.SIGINT)
        assert crew.wait(process).status == 1
        newest = fleet.newest_run()
        assert newest is not None
        assert newest.run.state is RunState.RUNNING
        assert {work.state for work in newest.works} == {WorkState.DONE, WorkState.PENDING}
        assert fleet.resume().ok
    check_once(world)


def poisoned(world: World, crew: Crew, *, few: int, homes: int) -> None:
    slugs = [home.slug for home in world.each_home(lambda place: None) if home.tenant]
    bad = slugs[:: len(slugs) // few][:few]
    world.poison(*bad)
    assert crew.run(world, jobs=4).report == ["failed"]
    with world.fleet() as fleet:
        newest = fleet.newest_run()
        assert newest is not None
        assert {work.home.slug for work in newest.failed} == set(bad)
        assert len(newest.done) == homes - few
        print(f"\n{few} of {len(slugs)} tenants poisoned: {len(newest.done)} homes done, {few} reported:")
        print(*(f"  {work.error}" for work in newest.failed), sep="\n")


def test_two_of_thirty_tenants_are_poisoned(postgres: Any, tmp_path: Path, crew: Crew) -> None:
    world = World(postgres, tmp_path)
    try:
        world.fill(schema=15, file=15)
        poisoned(world, crew, few=2, homes=33)
    finally:
        world.close()


@pytest.mark.soak
def test_three_of_three_hundred_tenants_are_poisoned(postgres: Any, tmp_path: Path, crew: Crew) -> None:
    world = World(postgres, tmp_path)
    try:
        world.fill(schema=150, database=10, file=140)
        poisoned(world, crew, few=3, homes=303)
    finally:
        world.close()
