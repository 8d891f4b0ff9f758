"""A fleet is brought to head, home by home, whatever some of its homes have against it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tenantry.errors import RevisionUnknown, RunClosed, RunInProgress, RunUnknown
from tenantry.events import Step, listen
from tenantry.fleet import Fleet, HomeKind, Outcome, Pace, Position, RunState, Verb, WorkState, journal

from .worlds import World, check_once

CATALOGS = ("pg", "files")

HOMES = 4 + 1 + 4 + 3


@contextlib.contextmanager
def heard() -> Iterator[list[Step]]:
    steps: list[Step] = []
    stop = listen(lambda step: steps.append(step) if step.operation == "fleet" else None)
    yield steps
    stop()


def test_every_home_is_brought_to_head_once(world: World) -> None:
    with world.fleet() as fleet:
        assert {standing.position for standing in fleet.status().homes} == {Position.BEHIND}
        outcome = fleet.upgrade()
        assert outcome.ok
        assert len(outcome.done) == len(fleet.current()) == HOMES
        assert {work.before for work in outcome.done} == {None}
        assert {work.after for work in outcome.done} == {"r3"}
        assert {work.touched["counter"] for work in outcome.done} == {3}
        assert {standing.position for standing in fleet.status().homes} == {Position.AT}
    check_once(world)


def test_nothing_to_do_leaves_no_trace(world: World) -> None:
    with world.fleet() as fleet:
        fleet.upgrade()
        again = fleet.upgrade()
        assert again.ok
        assert again.works == ()
        assert fleet.status().run is not None
        assert fleet.status().run != again
        with pytest.raises(RunUnknown):
            fleet.resume()


def test_a_dry_run_and_a_plan_change_nothing(world: World) -> None:
    with world.fleet() as fleet:
        planned = fleet.upgrade("r2", dry_run=True)
        assert planned.run.state is RunState.PLANNED
        assert len(planned.left) == HOMES
        assert [work.home for work in planned.works] == [work.home for work in fleet.plan("r2").works]
        assert fleet.status().run is None
        with pytest.raises(RevisionUnknown):
            fleet.upgrade("r4")
    assert {version for version, _ in world.state().values()} == {None}


def test_common_homes_come_before_what_may_refer_to_them(world: World) -> None:
    with world.fleet() as fleet:
        kinds = [work.home.tenant is None for work in fleet.plan().works]
        assert kinds == sorted(kinds, reverse=True)
        fleet.upgrade()
        kinds = [work.home.tenant is None for work in fleet.plan("base", verb=Verb.DOWNGRADE).works]
        assert kinds == sorted(kinds)


def test_there_and_back_again(world: World) -> None:
    with world.fleet() as fleet:
        fleet.upgrade("r2")
        down = fleet.downgrade("r1")
        assert down.ok
        assert {(work.before, work.after) for work in down.done} == {("r2", "r1")}
        assert {standing.position for standing in fleet.status("base").homes} == {Position.AHEAD}
        assert fleet.downgrade("base").ok
    assert {version for version, _ in world.state().values()} == {None}


def test_two_poisoned_homes_do_not_keep_the_others(world: World) -> None:
    slugs = [home.slug for home in world.each_home(lambda place: None) if home.tenant]
    world.poison(*slugs[:2])
    with world.fleet() as fleet:
        outcome = fleet.upgrade()
        assert outcome.run.state is RunState.FAILED
        assert len(outcome.done) == HOMES - 2
        assert {work.home.slug for work in outcome.failed} == set(slugs[:2])
        for work in outcome.failed:
            assert work.error is not None
            assert "already exists" in work.error
            assert work.after is None
        assert {(work.home.slug, work.error) for work in fleet.resume().failed} == {
            (work.home.slug, work.error) for work in outcome.failed
        }
        world.cure()
        assert fleet.resume().ok
    check_once(world)


def test_the_failure_budget_stops_a_run(world: World) -> None:
    slugs = [home.slug for home in world.each_home(lambda place: None) if home.tenant]
    world.poison(*slugs)
    with world.fleet() as fleet:
        outcome = fleet.upgrade(max_failures=2, jobs=1)
        assert outcome.run.state is RunState.STOPPED
        assert len(outcome.failed) == 3
        assert outcome.left
        assert "max_failures is 2" in outcome.run.reason
        outcome = fleet.upgrade(max_failures=None)
        assert outcome.run.state is RunState.FAILED
        assert len(outcome.failed) == len(slugs)
        world.cure()
        assert fleet.resume().ok
    check_once(world)


def test_a_failing_common_home_stops_what_leans_on_it(world: World) -> None:
    with world.fleet() as fleet:
        homes = [home for home in fleet.current() if home.kind is HomeKind.COMMON]
        history = fleet._history
        with history.opened(homes[0]) as place:
            place.run("CREATE TABLE poison (x int)")
        outcome = fleet.upgrade()
        assert outcome.run.state is RunState.STOPPED
        assert {work.state for work in outcome.works if work.home.tenant} == {WorkState.PENDING}
        world.cure()
        assert fleet.resume(outcome.run.id).ok
    check_once(world)


def test_a_home_beside_the_way_is_reported_and_left_alone(world: World) -> None:
    with world.fleet() as fleet:
        stray = next(home for home in fleet.current() if home.kind is HomeKind.SCHEMA)
        with fleet._history.opened(stray) as place:
            place.stamp("elsewhere")
        assert [standing.home for standing in fleet.status().at(Position.DIVERGED)] == [stray]
        outcome = fleet.upgrade()
        assert outcome.run.state is RunState.FAILED
        assert [work.home for work in outcome.failed] == [stray]
        assert "elsewhere" in str(outcome.failed[0].error)
        assert len(outcome.done) == HOMES - 1
        fleet.stamp("base", where=lambda home: home == stray)
        assert fleet.resume().ok
    check_once(world)


def test_a_part_of_the_fleet(world: World) -> None:
    with world.fleet() as fleet:
        outcome = fleet.upgrade("r1", where=lambda home: home.kind is HomeKind.FILE)
        assert outcome.ok
        assert len(outcome.done) == 4
        status = fleet.status("r1")
        assert len(status.at(Position.AT)) == 4
        assert len(status.at(Position.BEHIND)) == HOMES - 4


def test_a_busy_home_is_tried_again(world: World) -> None:
    with world.fleet() as fleet, heard() as steps:
        home = next(home for home in fleet.current() if home.kind is HomeKind.SCHEMA)
        tried = threading.Event()
        stop = listen(lambda step: tried.set() if retried(step, home.slug) else None)
        with fleet._history.opened(home) as place:
            place.lock(home)
            thread = threading.Thread(target=fleet.upgrade, kwargs={"pace": Pace(lock_timeout=0.1, attempts=50)})
            thread.start()
            assert tried.wait(60)
        thread.join()
        stop()
        assert any(retried(step, home.slug) for step in steps)
        outcome = fleet.status().run
        assert outcome is not None
        assert outcome.ok
        assert next(work for work in outcome.works if work.home == home).attempt > 1
    check_once(world)


def retried(step: Step, slug: str) -> bool:
    return step.name == "record" and step.facts["home"].slug == slug and step.facts["state"] == WorkState.PENDING


def test_a_home_that_stays_busy_is_reported(world: World) -> None:
    with world.fleet() as fleet:
        home = next(home for home in fleet.current() if home.kind is HomeKind.FILE)
        with fleet._history.opened(home) as place:
            place.lock(home)
            outcome = fleet.upgrade(pace=Pace(lock_timeout=0.05, attempts=2))
        assert outcome.run.state is RunState.FAILED
        assert [work.home for work in outcome.failed] == [home]
        assert outcome.failed[0].attempt == 2
        assert fleet.resume().ok
    check_once(world)


def test_pause_and_resume(world: World) -> None:
    with world.fleet() as fleet:
        outcome = paused(fleet, after=3)
        assert outcome.run.state is RunState.PAUSED
        assert 3 <= len(outcome.done) < HOMES
        assert outcome.left
        assert {work.state for work in outcome.left} == {WorkState.PENDING}
        with pytest.raises(RunClosed):
            fleet.pause(outcome.run.id)
        assert fleet.resume(outcome.run.id).ok
        with pytest.raises(RunClosed):
            fleet.resume(outcome.run.id)
    check_once(world)


def paused(fleet: Fleet, *, after: int) -> Outcome:
    """Has another thread pause the run as soon as so many homes are done, and returns what became of it."""

    def hear(step: Step) -> None:
        if step.operation == "fleet" and step.name == "record" and step.facts["done"] == after:
            fleet.pause(step.facts["run"])

    stop = listen(hear)
    try:
        return fleet.upgrade(jobs=1)
    finally:
        stop()


def test_another_run_over_the_fleet_waits_for_the_one_under_way(world: World) -> None:
    with world.fleet() as fleet:
        run = paused(fleet, after=2).run
        with fleet._tenancy.catalog("Setting it going") as connection:
            journal.reopen(connection, run, ())
        with pytest.raises(RunInProgress, match=str(run.id)):
            fleet.upgrade("r1")
        joined = fleet.upgrade()
        assert joined.run.id == run.id
        assert joined.ok
    check_once(world)


def test_progress_is_told(world: World) -> None:
    with world.fleet() as fleet, heard() as steps:
        run = fleet.upgrade(jobs=1).run
    told = [step.facts for step in steps if step.name == "record"]
    assert [facts["done"] for facts in told] == list(range(1, HOMES + 1))
    assert [facts["left"] for facts in told] == list(range(HOMES - 1, -1, -1))
    assert {facts["failed"] for facts in told} == {0}
    assert {facts["run"] for facts in told} == {run.id}


def test_tenants_made_meanwhile_are_caught_up(world: World) -> None:
    late: list[str] = []

    def hear(step: Step) -> None:
        if step.operation == "fleet" and step.name == "catch up" and len(late) < 3:
            late.append(world.create(fleet._tenancy, "schema"))

    with world.fleet() as fleet:
        stop = listen(hear)
        outcome = fleet.upgrade()
        stop()
        assert outcome.ok
        assert len(outcome.done) == HOMES + 3
        check_once(world)
        world.reset()
        for slug in late:
            fleet._tenancy.tenants.erase(slug, confirm=slug)


def test_a_creation_under_way_is_waited_for(world: World) -> None:
    """It began before the run's end, and its tenant becomes active after every other home is done."""
    begun, all_done = threading.Event(), threading.Event()

    def hear(step: Step) -> None:
        if step.operation == "create" and step.name == "activate":
            begun.set()
            assert all_done.wait(60)
            time.sleep(0.5)
        if step.operation == "fleet" and step.name == "apply":
            assert begun.wait(60)
        if step.operation == "fleet" and step.name == "record" and step.facts["done"] == HOMES:
            all_done.set()

    made: list[str] = []
    with world.fleet() as fleet, contextlib.closing(world.tenancy()) as other:
        stop = listen(hear)
        thread = threading.Thread(target=lambda: made.append(world.create(other, "schema")))
        thread.start()
        outcome = fleet.upgrade()
        thread.join()
        stop()
        assert outcome.ok
        assert made[0] in {work.home.slug for work in outcome.done}
        check_once(world)
        world.reset()
        fleet._tenancy.tenants.erase(made[0], confirm=made[0])


def test_a_tenant_erased_meanwhile_is_left_out(world: World) -> None:
    with world.fleet() as fleet:
        slug = world.create(fleet._tenancy, "schema")
        erased = threading.Event()

        def hear(step: Step) -> None:
            if step.operation == "fleet" and step.name == "apply" and not erased.is_set():
                erased.set()
                fleet._tenancy.tenants.erase(slug, confirm=slug)

        stop = listen(hear)
        outcome = fleet.upgrade()
        stop()
        assert outcome.ok
        assert slug not in {work.home.slug for work in outcome.works}
    check_once(world)


def test_each_tenant_is_backed_up_before_its_home_changes(world: World) -> None:
    kept: dict[str, object] = {}
    with world.fleet() as fleet:

        def keep(tenant: object) -> None:
            kept[tenant.slug] = next(v for home, v in fleet.current().items() if home.slug == tenant.slug)

        assert fleet.upgrade("r1", backup=keep).ok
        assert set(kept.values()) == {None}
        assert len(kept) == HOMES - 3

        def fail(tenant: object) -> None:
            raise OSError("the disk is full")

        outcome = fleet.upgrade("r2", backup=fail, max_failures=None)
        assert {work.error for work in outcome.failed} == {"the disk is full"}
        assert {version for home, version in fleet.current().items() if home.tenant} == {"r1"}


def test_sql_is_shown_for_one_home_of_each_kind(world: World) -> None:
    with world.fleet() as fleet:
        scripts = fleet.sql("r2")
        assert len(scripts) == 6
        assert all("CREATE TABLE counter" in script for script in scripts.values())
        assert fleet.sql("base") == {}
