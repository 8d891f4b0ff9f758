"""Canaries go first: where one of them fails, or is not well afterwards, no other home was touched."""

from __future__ import annotations

from typing import Any

import pytest

from tenantry.errors import CanaryRefused, HookMissing, RunInProgress, TenantNotFound
from tenantry.events import Step, listen
from tenantry.fleet import Fleet, HomeKind, Outcome, Position, Ring, RunState, WorkState, journal

from .test_upgrading import HOMES, paused
from .worlds import World, check_once


def canary_of(fleet: Fleet, kind: HomeKind = HomeKind.SCHEMA) -> str:
    """Returns the slug of the tenant that goes first; not the first one of the plan, which would prove nothing."""
    return [home.slug for home in fleet.current() if home.kind is kind][-1]


def untouched_but(fleet: Fleet, *slugs: str) -> bool:
    return all(version is None for home, version in fleet.current().items() if home.slug not in slugs)


@pytest.mark.parametrize("kind", [HomeKind.SCHEMA, HomeKind.DATABASE, HomeKind.FILE])
def test_a_failing_canary_leaves_every_other_home_untouched(world: World, kind: HomeKind) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet, kind)
        world.poison(slug)
        outcome = fleet.upgrade(canary=[slug])
        assert outcome.run.state is RunState.STOPPED
        assert "canary failed" in outcome.run.reason
        assert [work.home.slug for work in outcome.failed] == [slug]
        assert len(outcome.left) == HOMES - 1
        assert set(fleet.current().values()) == {None}
        world.cure()
        assert fleet.resume().ok
    check_once(world)


def ok(session: Any) -> bool:
    return True


def not_ok(session: Any) -> bool:
    return False


def broken(session: Any) -> bool:
    raise ZeroDivisionError("a row of somebody's")


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ("(SELECT count(*) FROM tickets) > 0", "answered"),
        ("(SELECT count(*) FROM no_such_table) > 0", "failed: "),
        (not_ok, "answered False."),
        (broken, "failed: ZeroDivisionError"),
    ],
)
def test_a_failing_health_check_leaves_every_other_home_untouched(world: World, health: Any, said: str) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet)
        outcome = fleet.upgrade(canary=slug, health=health)
        assert outcome.run.state is RunState.STOPPED
        assert said in outcome.run.reason
        assert slug in outcome.run.reason
        assert "somebody" not in outcome.run.reason
        assert [work.home.slug for work in outcome.done] == [slug]
        assert untouched_but(fleet, slug)


def test_a_healthy_canary_opens_the_rest(world: World) -> None:
    order: list[str] = []

    def hear(step: Step) -> None:
        if step.operation == "fleet" and step.name in ("health", "record"):
            order.append(str(step.facts["home"]) if step.name == "record" else "health")

    with world.fleet() as fleet:
        slug = canary_of(fleet)
        fleet._tenancy.tenants.get(slug)
        stop = listen(hear)
        assert fleet.upgrade(canary=slug, health="(SELECT count(*) FROM tickets) >= 0").ok
        stop()
        assert order[:2] == [slug, "health"]
        assert order.count("health") == 1
        assert len(order) == HOMES + 1
    check_once(world)


def test_a_health_check_in_python_is_needed_again(world: World) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet)
        run = fleet.upgrade(canary=slug, health=not_ok).run
        with pytest.raises(HookMissing):
            fleet.resume(run.id)
        assert fleet.work() == []
        assert untouched_but(fleet, slug)
        assert fleet.resume(run.id, health=ok).ok
    check_once(world)


def test_a_percent_takes_some_of_each_kind(world: World) -> None:
    with world.fleet() as fleet:
        planned = fleet.plan(canary="25%")
        canaries = [work.home.kind for work in planned.works if work.ring is Ring.CANARY]
        assert sorted(canaries) == [HomeKind.DATABASE, HomeKind.FILE, HomeKind.SCHEMA]
        assert [work.ring for work in planned.works][:3] == [Ring.CANARY] * 3
        assert fleet.plan(canary=25).works == planned.works
        assert len([work for work in fleet.plan(canary=100).works if work.ring is Ring.CANARY]) == HOMES - 3
        suspended = next(work.home.slug for work in planned.works if work.ring is Ring.CANARY)
        fleet._tenancy.tenants.suspend(suspended)
        again = fleet.plan(canary=100)
        fleet._tenancy.tenants.resume(suspended)
        assert suspended not in {work.home.slug for work in again.works if work.ring is Ring.CANARY}
        assert suspended in {work.home.slug for work in again.works}


def test_a_canary_at_head_is_looked_at_all_the_same(world: World) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet)
        fleet.upgrade(where=lambda home: home.slug == slug)
        outcome = fleet.upgrade(canary=slug, health=not_ok)
        assert outcome.run.state is RunState.STOPPED
        assert untouched_but(fleet, slug)
        assert fleet.resume(health=ok).ok
    check_once(world)


def test_a_common_home_may_go_first(world: World) -> None:
    with world.fleet() as fleet:
        name = f"{world.server('pg')}/common"
        fleet._history.resolve("head")
        outcome = fleet.upgrade(canary=[name], health=not_ok)
        assert outcome.run.state is not RunState.STOPPED, "no tenant has rows there, so there is nobody to ask"
        assert outcome.ok
        with world.fleet() as other:
            planned = other.plan("base", canary=name).works
            assert planned == []
    check_once(world)


@pytest.mark.parametrize("canary", [0, 101, "x%", [], "main/cellar", "-1%"])
def test_a_canary_that_names_nobody_is_refused(world: World, canary: Any) -> None:
    with world.fleet() as fleet:
        with pytest.raises(CanaryRefused):
            fleet.upgrade(canary=canary)
        with pytest.raises(TenantNotFound):
            fleet.upgrade(canary="nobody")
        assert fleet.status().run is None


def test_a_tenant_among_others_cannot_go_first_alone(world: World) -> None:
    with world.fleet() as fleet:
        server = world.server("pg")
        tenant = fleet._tenancy.tenants.create("lodger", isolation="rows", server=server)
        try:
            with pytest.raises(CanaryRefused, match=f"{server}/common"):
                fleet.upgrade(canary="lodger")
            outcome = fleet.upgrade(canary=f"{server}/common", health="(SELECT count(*) FROM tickets) > 0")
            assert outcome.run.state is RunState.STOPPED
            assert [work.home.kind for work in outcome.done] == [HomeKind.COMMON]
        finally:
            fleet._tenancy.tenants.erase(tenant, confirm="lodger")


def test_the_canaries_are_rolled_back(world: World) -> None:
    with world.fleet() as fleet:
        fleet.upgrade("r1")
        slugs = [canary_of(fleet), canary_of(fleet, HomeKind.FILE)]
        stopped = fleet.upgrade(canary=slugs, health=not_ok)
        assert {work.home.slug for work in stopped.done} == set(slugs)
        back = fleet.rollback(stopped.run.id, ring=Ring.CANARY)
        assert back.ok
        assert {(work.home.slug, work.before, work.after) for work in back.done} == {(s, "r3", "r1") for s in slugs}
        assert set(fleet.current().values()) == {"r1"}
        undone = outcome_of(fleet, stopped)
        assert undone.run.state is RunState.ROLLED_BACK
        assert str(back.run.id) in undone.run.reason


def outcome_of(fleet: Fleet, outcome: Outcome) -> Outcome:
    with fleet._tenancy.catalog("Looking") as connection:
        return journal.outcome(connection, outcome.run.id)


def test_a_whole_run_is_rolled_back_and_begun_again(world: World) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet)
        fleet.upgrade("r1", where=lambda home: home.slug == slug)
        run = fleet.upgrade().run
        back = fleet.rollback(run.id)
        assert back.ok
        kinds = [work.home.tenant is None for work in back.works]
        assert kinds == sorted(kinds)
        found = fleet.current()
        assert {version for home, version in found.items() if home.slug == slug} == {"r1"}
        assert {version for home, version in found.items() if home.slug != slug} == {None}
        assert fleet.rollback(run.id).works == ()
        world.reset()
        assert fleet.upgrade().ok
    check_once(world)


def test_what_has_moved_on_is_not_rolled_back(world: World) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet)
        run = fleet.upgrade("r1").run
        fleet.upgrade("r2", where=lambda home: home.slug == slug)
        back = fleet.rollback(run.id)
        assert back.run.state is not RunState.DONE
        assert [work.home.slug for work in back.failed] == [slug]
        assert "stands at r2" in str(back.failed[0].error)
        assert [standing.current for standing in fleet.status("r2").at(Position.AT)] == ["r2"]


def test_a_run_under_way_is_not_rolled_back(world: World) -> None:
    with world.fleet() as fleet:
        refused: list[bool] = []

        def hear(step: Step) -> None:
            if step.operation == "fleet" and step.name == "apply" and not refused:
                with pytest.raises(RunInProgress):
                    fleet.rollback(step.facts["run"])
                refused.append(True)

        stop = listen(hear)
        assert fleet.upgrade(jobs=1).ok
        stop()
        assert refused == [True]


def test_a_run_is_not_rolled_back_beside_another(world: World) -> None:
    with world.fleet() as fleet:
        first = fleet.upgrade("r1").run
        second = paused(fleet, after=2)
        with fleet._tenancy.catalog("Setting it going") as connection:
            journal.reopen(connection, second.run, ())
        with pytest.raises(RunInProgress, match=str(second.run.id)):
            fleet.rollback(first.id)
        fleet.pause(second.run.id)
        back = fleet.rollback(first.id)
        assert len(back.failed) == len(second.done), "what has moved on since stays"


def test_a_paused_run_is_rolled_back(world: World) -> None:
    with world.fleet() as fleet:
        outcome = paused(fleet, after=4)
        back = fleet.rollback(outcome.run.id)
        assert back.ok
        assert len(back.done) == len(outcome.done) >= 4
        assert set(fleet.current().values()) == {None}
        assert {work.state for work in outcome_of(fleet, outcome).left} == {WorkState.PENDING}
