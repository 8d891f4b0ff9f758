"""A run handed to procrastinate: its workers take part, and a job lost or run twice changes nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import procrastinate
import pytest

from tenantry.fleet import Fleet, RunState
from tenantry.fleet.executors import TASK, Procrastinate

from .test_upgrading import HOMES
from .worlds import World, check_once


@pytest.fixture
def queue(postgres: Any) -> Iterator[str]:
    """The URL of a database with procrastinate's tables."""
    with postgres.lend_database() as url:
        with app_on(procrastinate.SyncPsycopgConnector(conninfo=url)).open() as app:
            app.schema_manager.apply_schema()
        yield url


def app_on(connector: Any) -> procrastinate.App:
    return procrastinate.App(connector=connector)


def submitted(queue: str, fleet: Fleet, *, workers: int) -> uuid.UUID:
    """Begins a run whose work is deferred, as a program that serves requests would."""
    with app_on(procrastinate.SyncPsycopgConnector(conninfo=queue)).open() as app:
        run = fleet.begin(executor=Procrastinate(app, fleet.work), workers=workers)
    assert run.state is RunState.RUNNING
    return run.id


def jobs(queue: str, fleet: Fleet) -> list[str]:
    """Has a worker do every job that waits, and returns what became of all there were."""

    async def work() -> list[str]:
        app = app_on(procrastinate.PsycopgConnector(conninfo=queue))
        Procrastinate(app, fleet.work)
        async with app.open_async():
            await app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=3)
            found = await app.job_manager.list_jobs_async(task=TASK)
            return [str(job.status) for job in found]

    return asyncio.run(work())


def test_procrastinate_works_on_a_run(world: World, queue: str) -> None:
    with world.fleet() as fleet:
        run = submitted(queue, fleet, workers=3)
        assert fleet.newest_run().left
        assert set(jobs(queue, fleet)) == {"succeeded"}
        outcome = fleet.newest_run()
        assert outcome is not None
        assert outcome.run.id == run
        assert outcome.ok
        assert len(outcome.done) == HOMES
    check_once(world)


def test_a_job_that_comes_late_changes_nothing(world: World, queue: str) -> None:
    with world.fleet() as fleet:
        run = submitted(queue, fleet, workers=2)
        assert fleet.resume(run).ok
        assert set(jobs(queue, fleet)) == {"succeeded"}
    check_once(world)


def test_a_job_that_finds_its_run_gone_says_so(world: World, queue: str) -> None:
    with world.fleet() as fleet:
        submitted(queue, fleet, workers=1)
        world.reset()
        assert "failed" in jobs(queue, fleet)
        assert fleet.newest_run() is None
