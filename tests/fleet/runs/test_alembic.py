"""Runs over the application's own Alembic scripts: whole, killed, poisoned, tried on canaries, rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tenantry.fleet import HomeKind, Ring, RunState

from .crews import Crew
from .test_killed import kill_at
from .test_rings import canary_of, not_ok, untouched_but
from .test_upgrading import HOMES
from .worlds import AlembicWorld, check_once


@pytest.fixture(scope="module")
def fleet_of_scripts(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlembicWorld]:
    world = AlembicWorld(postgres, tmp_path_factory.mktemp("fleet"), scripts=tmp_path_factory.mktemp("scripts"))
    migrations, world.migrations = world.migrations, None
    world.fill(schema=4, database=1, file=4)
    world.migrations = migrations
    yield world
    world.close()


@pytest.fixture
def world(fleet_of_scripts: AlembicWorld) -> AlembicWorld:
    fleet_of_scripts.reset()
    return fleet_of_scripts


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.close()


def test_scripts_are_brought_to_every_home_and_back(world: AlembicWorld) -> None:
    with world.fleet() as fleet:
        outcome = fleet.upgrade()
        assert outcome.ok
        assert {(work.before, work.after) for work in outcome.done} == {(None, "r3")}
        assert len(outcome.done) == HOMES
        check_once(world)
        slug = world.create(fleet._tenancy, "schema")
        assert fleet.upgrade().works == (), "a new tenant stands at head"
        fleet._tenancy.tenants.erase(slug, confirm=slug)
        back = fleet.rollback(outcome.run.id)
        assert back.ok, [work.error for work in back.failed]
        assert set(fleet.current().values()) == {None}


def test_poisoned_homes_are_reported(world: AlembicWorld) -> None:
    with world.fleet() as fleet:
        slugs = [canary_of(fleet, kind) for kind in (HomeKind.SCHEMA, HomeKind.FILE)]
        world.poison(*slugs)
        outcome = fleet.upgrade()
        assert outcome.run.state is RunState.FAILED
        assert {work.home.slug for work in outcome.failed} == set(slugs)
        assert all("already exists" in str(work.error) for work in outcome.failed)
        world.cure()
        assert fleet.resume().ok
    check_once(world)


def test_canaries_go_first_and_back(world: AlembicWorld) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet)
        outcome = fleet.upgrade(canary=slug, health=not_ok)
        assert outcome.run.state is RunState.STOPPED
        assert untouched_but(fleet, slug)
        assert fleet.rollback(outcome.run.id, ring=Ring.CANARY).ok
        assert set(fleet.current().values()) == {None}


@pytest.mark.mainly("statement")
@pytest.mark.parametrize("what", ["step", "statement"])
def test_an_upgrade_killed_anywhere_is_carried_on(world: AlembicWorld, crew: Crew, what: str) -> None:
    assert kill_at(world, crew, trials=2, what=what).killed > 0


@pytest.mark.soak
@pytest.mark.parametrize(("what", "trials"), [("step", 1000), ("statement", 100)])
def test_a_hundred_upgrades_killed_anywhere_are_carried_on(
    world: AlembicWorld, crew: Crew, what: str, trials: int
) -> None:
    toll = kill_at(world, crew, trials=trials, what=what)
    print(f"\nkilled at a {what}, by Alembic scripts: {toll.killed} of {toll.trials} (places: {toll.places})")
    assert toll.killed > toll.trials / 2


def test_several_processes_at_once(world: AlembicWorld, crew: Crew) -> None:
    processes = [crew.start(world, jobs=2) for _ in range(3)]
    assert [crew.wait(process).report for process in processes] == [["done"]] * 3
    check_once(world)


def test_the_fleet_tells_of_its_history(world: AlembicWorld) -> None:
    with world.fleet() as fleet:
        assert fleet.heads() == ("r3",)
        assert list(fleet.history()) == ["r1", "r2", "r3"]
        assert {finding.code for finding in fleet.check(orphans=False)} >= {"F101", "F103"}
        assert fleet.upgrade().ok
        assert not {finding.code for finding in fleet.check(orphans=False)} & {"F101", "F103"}
        written = fleet.revision("one more", autogenerate=False)
    with world.fleet() as fleet:
        assert len(fleet.history()) == 4
    written.unlink()
