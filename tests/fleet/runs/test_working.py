"""Workers take part in the runs that are under way, finish tenants that wait, and catch up what fell behind."""

from __future__ import annotations

import contextlib
import uuid

import pytest

from tenantry.errors import RunUnknown
from tenantry.fleet import RunState
from tenantry.fleet.executors import Threads

from .test_upgrading import HOMES, paused
from .worlds import World, check_once, open_tenancy

CATALOGS = ("pg", "files")


def test_a_worker_without_a_run_has_nothing_to_do(world: World) -> None:
    with world.fleet() as fleet:
        assert fleet.work() == []
        with pytest.raises(RunUnknown):
            fleet.work(uuid.uuid4())


def test_threads_work_on_a_run_that_was_begun(world: World) -> None:
    with world.fleet() as fleet:
        threads = Threads(fleet.work)
        run = fleet.begin(executor=threads, workers=3)
        assert run.state is RunState.RUNNING
        threads.join()
        outcome = fleet.status().run
        assert outcome is not None
        assert outcome.ok
        assert outcome.run.id == run.id
        assert len(outcome.done) == HOMES
        assert fleet.begin(executor=threads).state is RunState.PLANNED
        assert fleet.work(run.id) == []
    check_once(world)


def test_a_paused_run_is_left_alone(world: World) -> None:
    with world.fleet() as fleet:
        paused(fleet, after=2)
        assert fleet.work() == []


def test_what_fell_behind_since_the_last_run_is_caught_up(world: World) -> None:
    with world.fleet() as fleet:
        fleet.upgrade("r2")
        slug = world.create(fleet._tenancy, "file")
        (outcome,) = fleet.work()
        assert outcome.ok
        assert [(work.home.slug, work.after) for work in outcome.done] == [(slug, "r2")]
        assert fleet.work() == []
        world.reset()
        fleet._tenancy.tenants.erase(slug, confirm=slug)


def test_a_tenant_that_waits_for_the_owner_is_finished(world: World) -> None:
    """Created by a process that has the run-time login alone, finished and brought to head by one with the owner's."""
    with contextlib.closing(world.tenancy()) as owner:
        app_url = owner.create_login(f"app_{uuid.uuid4().hex[:8]}", server=world.server("pg"))
    with contextlib.closing(open_tenancy(world.job | {"url": app_url}, owner=False)) as app:
        waiting = app.tenants.create("patient", isolation="schema", server=world.server("pg"))
        assert waiting.status == "provisioning"
        assert app.tenants.create("patient", isolation="schema", server=world.server("pg")) == waiting
    with world.fleet() as fleet:
        fleet.upgrade()
        assert len(fleet.current()) == HOMES
        (outcome,) = fleet.work()
        assert [work.home.slug for work in outcome.done] == ["patient"]
        assert fleet._tenancy.tenants.get("patient").status == "active"
        check_once(world)
        world.reset()
        fleet._tenancy.tenants.erase("patient", confirm="patient")
