"""Events handed to procrastinate: a job each, run in the tenant's order however many are run at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import procrastinate
import pytest
from cells import Ground, Place

from tenantry.outbox import Delivery, Event, Procrastinate
from tenantry.outbox.engines import TASK

from .desk import Desk


def work_off(conninfo: str, worker: Any) -> list[str]:
    """Has procrastinate do every job that waits, several at once, and returns what became of them."""

    async def work() -> list[str]:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo))
        Procrastinate(app, worker)
        async with app.open_async():
            # A worker that does not wait goes home when what is left waits for a lock.
            while await app.job_manager.list_jobs_async(task=TASK, status="todo"):
                await app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=4)
            return [str(job.status) for job in await app.job_manager.list_jobs_async(task=TASK)]

    return asyncio.run(work())


def test_events_become_jobs_in_their_order(ground: Ground, fresh_database: str) -> None:
    seen: dict[Any, list[Event]] = defaultdict(list)
    desks = [Desk(ground, Place(cell, "sync")) for cell in ("postgresql-rows", "sqlite-file")]
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=fresh_database))
    with app.open():
        app.schema_manager.apply_schema()
        engine = Procrastinate(app, lambda event: None)
        for desk in desks:
            desk.outbox.forward(engine)
            desk.add(*range(10))
            assert desk.deliver() == Delivery(delivered=10)
    done = work_off(fresh_database, lambda event: seen[event.tenant].append(event))
    assert done == ["succeeded"] * 20
    assert len(seen) == 2
    for events in seen.values():
        assert [event.payload["number"] for event in events] == list(range(10))
        assert [event.number for event in events] == list(range(1, 11))


def test_an_engine_that_is_away_is_asked_again(ground: Ground, fresh_database: str) -> None:
    desk = Desk(ground, Place("sqlite-file", "sync"))
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=fresh_database))
    with app.open():
        desk.outbox.forward(Procrastinate(app, desk.record), topic="noted")
        desk.add(1)
        # Its tables are not there yet.
        assert desk.deliver() == Delivery(failed=1)
        app.schema_manager.apply_schema()
        assert desk.deliver() == Delivery(delivered=1)
    assert work_off(fresh_database, desk.record) == ["succeeded"]
    assert desk.numbers == [1]


@pytest.mark.parametrize("door", ["psycopg", "aiosqlite"])
def test_a_relay_runs_beside_an_event_loop(ground: Ground, door: str) -> None:
    desk = Desk(ground, Place("postgresql-rows" if door == "psycopg" else "sqlite-file", door))
    relay = desk.relay()

    @desk.outbox.handler("noted")
    def handle(event: Event) -> None:
        desk.record(event)
        if event.payload["number"] == 3:
            relay.stop()

    async def serve() -> None:
        running = asyncio.create_task(asyncio.to_thread(relay.run, every=3600.0))
        for number in (1, 2, 3):
            async with desk.tenancy.aio.transaction(desk.slug) as session:
                await desk.outbox.aio.add(session, "noted", {"number": number})
        async with asyncio.timeout(60):
            await running

    ground.runner.run(serve())
    assert desk.numbers == [1, 2, 3]
