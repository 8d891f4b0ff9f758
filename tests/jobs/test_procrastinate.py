"""Procrastinate on PostgreSQL: jobs of many tenants, deferred and worked off, never serve another."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import procrastinate
import psycopg
import pytest
from cells import Ground

from tenantry import errors
from tenantry.jobs import current_job, job_transaction
from tenantry.jobs.procrastinate import RESERVED

from .bodies import Bodies
from .conftest import HERE
from .models import Note
from .procrastinate_worker import declare
from .scene import Scene


class Queue:
    """A queue, its tasks as senders have them, and a worker that does what waits."""

    def __init__(self, scene: Scene, conninfo: str, marks: Path) -> None:
        self.scene, self.conninfo, self.marks = scene, conninfo, marks
        self.app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=conninfo))
        self.bodies = declare(self.app, scene.tenancy, marks)

    def work(self, *more: Any) -> None:
        """Has a worker do every job that waits, four at a time; *more* are given its app and tasks first."""

        async def run() -> None:
            app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=self.conninfo))
            bodies = declare(app, self.scene.tenancy, self.marks)
            for prepare in more:
                prepare(app, bodies)
            async with app.open_async():
                while await app.job_manager.list_jobs_async(status="todo"):
                    await app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=4)
            await self.scene.tenancy.aio.close()

        asyncio.run(run())

    def states(self) -> list[str]:
        """Returns what became of each job, in the order of their sending."""
        with psycopg.connect(self.conninfo) as connection:
            return [state for (state,) in connection.execute("select status::text from procrastinate_jobs order by id")]


@pytest.fixture(scope="module")
def queue(ground: Ground, module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queue]:
    queue = Queue(Scene.of(ground.tenancy(HERE), 5), module_database, tmp_path_factory.mktemp("marks"))
    with queue.app.open():
        queue.app.schema_manager.apply_schema()
        yield queue


@pytest.fixture(autouse=True)
def _empty(queue: Queue) -> None:
    queue.scene.clear()
    with psycopg.connect(queue.conninfo) as connection:
        connection.execute("truncate procrastinate_jobs cascade")


def test_no_job_runs_under_another_tenant(queue: Queue) -> None:
    bodies, sent = queue.bodies, []
    for number, tenant in zip(range(60), itertools.cycle(queue.scene.tenants), strict=False):
        with bodies.jobs.sending(tenant, actor=tenant.slug):
            given = {"number": number, "meant": str(tenant.id)}
            if number % 3 == 0:
                bodies.note_async.defer(**given)
            else:
                bodies.once.defer(**given, trouble="fails" if number % 5 == 0 else "")
        sent.append((tenant.id, number))
    queue.work()
    slugs = {tenant.id: tenant.slug for tenant in queue.scene.tenants}
    runs = queue.scene.runs()
    assert [run for run in runs if run.wrong] == []
    assert sorted((run.owner, run.number) for run in runs) == sorted(sent)
    assert {run.actor == slugs[run.owner] for run in runs} == {True}
    assert set(queue.states()) == {"succeeded"}


def raw(queue: Queue, name: str, **given: Any) -> None:
    """Defers a job past the tasks that address it, as whoever may write to the queue can."""
    queue.app.configure_task(name).defer(**given)


def test_forged_and_missing_headers_never_reach_the_body(queue: Queue) -> None:
    near, far, *_ = queue.scene.tenants
    forged: list[Any] = [
        None,
        {},
        str(near.id),
        [str(near.id)],
        {"tenantry_tenant": near.slug},
        {"tenantry_tenant": near.id.hex},
        {"tenantry_tenant": str(uuid.uuid4())},
        {"tenantry_tenant": {"tenant": str(near.id)}},
        {"tenantry_tenant": str(near.id), "tenantry_key": ""},
    ]
    given = {"number": 1, "meant": str(near.id), "tenant": str(far.id)}
    raw(queue, "bodies.note", **given)
    for headers in forged:
        raw(queue, "bodies.note", **given, **{RESERVED: headers})
    raw(queue, "bodies.fan_out", number=1, **{RESERVED: queue.bodies.jobs.headers(near)})
    queue.work()
    assert set(queue.states()) == {"failed"}
    assert queue.scene.runs() == []
    # The control.
    raw(queue, "bodies.note", **given, **{RESERVED: queue.bodies.jobs.headers(near)})
    queue.work()
    assert queue.states()[-1] == "succeeded"
    assert [run.owner for run in queue.scene.runs()] == [near.id]


def test_records_of_another_tenant_are_refused(queue: Queue) -> None:
    near, far, *_ = queue.scene.tenants
    with queue.scene.tenancy.transaction(near) as session:
        note = Note(text="near's")
        session.add(note)
    for tenant in (far, near):
        with queue.bodies.jobs.sending(tenant):
            queue.bodies.keep.defer(note_id=str(note.id), number=1, meant=str(near.id))
            with pytest.raises(errors.JobForeign):
                queue.bodies.keep.defer(note_id=far if tenant is near else note, number=1, meant="")
    queue.work()
    assert queue.states() == ["failed", "succeeded"]
    assert [run.owner for run in queue.scene.runs()] == [near.id]


def test_nothing_is_sent_without_a_tenant_or_past_the_one_bound(queue: Queue) -> None:
    near, *_ = queue.scene.tenants
    given = {"number": 1, "meant": str(near.id)}
    note = queue.bodies.note
    with pytest.raises(errors.JobTenantMissing):
        note.defer(**given)
    with pytest.raises(errors.JobTenantMissing):
        note(**given)
    with queue.bodies.jobs.sending(near):
        for attempt in (note, note.configure(task_kwargs={RESERVED: queue.bodies.jobs.headers(near)})):
            with pytest.raises(errors.ConfigurationError, match="Leave it out"):
                attempt.defer(**given, **({RESERVED: {}} if attempt is note else {}))
        assert len(note.configure(priority=3).batch_defer(given, {**given, "number": 2})) == 2
        assert note(number=3, meant=str(near.id)) == [3]
    queue.work()
    assert queue.states() == ["succeeded"] * 2
    assert sorted((run.owner, run.number) for run in queue.scene.runs()) == [(near.id, number) for number in (1, 2, 3)]


def test_a_platform_job_sends_one_for_each_tenant(queue: Queue) -> None:
    # As procrastinate's own schedule does: without any headers.
    queue.bodies.fan_out.task.defer(number=7)
    queue.bodies.note.task.defer(number=8, meant=str(uuid.uuid4()))

    def count(_: procrastinate.App, bodies: Bodies) -> None:
        # A worker's own tasks send through the queue's synchronous connector.
        bodies.note = queue.bodies.note

    queue.work(count)
    assert queue.states()[:2] == ["succeeded", "failed"]
    runs = queue.scene.runs()
    assert sorted((run.owner, run.number) for run in runs) == sorted((t.id, 7) for t in queue.scene.tenants)
    assert [run for run in runs if run.wrong] == []


def test_what_can_soon_be_done_is_tried_again_for_the_same_tenant(queue: Queue) -> None:
    near, *_ = queue.scene.tenants
    seen: list[uuid.UUID] = []

    def prepare(app: procrastinate.App, bodies: Bodies) -> None:
        @bodies.jobs.task(name="bodies.held", retry=False)
        def held(number: int) -> None:
            seen.append(current_job().tenant)
            with job_transaction():
                if len(seen) == 1:
                    raise errors.TenantMoving(tenant=near.id, retry_after=0.1)

    with queue.bodies.jobs.sending(near):
        headers = queue.bodies.jobs.headers(near)
    raw(queue, "bodies.held", number=1, **{RESERVED: headers})
    queue.work(prepare)
    assert (queue.states(), seen) == (["succeeded"], [near.id, near.id])
