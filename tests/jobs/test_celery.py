"""Celery with a real broker: workers of processes and of threads, killed and tried again, never serve another."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import celery
import pytest
from celery.beat import Scheduler, SchedulingError

from tenantry import errors
from tenantry.types import Tenant

from .conftest import Workshop
from .models import Note

SECONDS = 90  # the first answer waits for the workers to start


@pytest.fixture(autouse=True)
def _empty(workers: Workshop) -> None:
    workers.scene.clear()


def send(workshop: Workshop, count: int) -> list[tuple[uuid.UUID, int]]:
    """Sends jobs of every tenant in turn to both kinds of workers; some fail at first, some kill their process."""
    jobs = list(zip(itertools.cycle(workshop.scene.tenants), range(count), strict=False))
    for tenant, number in jobs:
        queue = "threads" if number % 3 == 0 else "prefork"
        trouble = "fails" if number % 5 == 0 else "killed" if number % 17 == 1 and queue == "prefork" else ""
        with workshop.bodies.jobs.sending(tenant, actor=tenant.slug):
            workshop.bodies.once.apply_async((number, str(tenant.id), trouble), queue=queue)
    return [(tenant.id, number) for tenant, number in jobs]


@pytest.mark.soak
def test_no_job_runs_under_another_tenant(workers: Workshop) -> None:
    sent = send(workers, 40)
    runs = workers.scene.await_runs(sent)
    slugs = {tenant.id: tenant.slug for tenant in workers.scene.tenants}
    assert [run for run in runs if run.wrong] == []
    assert sorted((run.owner, run.number) for run in runs) == sorted(sent)
    assert {run.actor == slugs[run.owner] for run in runs} == {True}


def test_nothing_is_left_for_the_next_task(workers: Workshop) -> None:
    (tenant, *_) = workers.scene.tenants
    for queue in ("prefork", "threads"):
        with workers.bodies.jobs.sending(tenant):
            for number in range(4):
                workers.bodies.note_async.apply_async((number, str(tenant.id)), queue=queue).get(timeout=SECONDS)
        probes = [workers.bodies.probe.apply_async(queue=queue) for _ in range(8)]
        assert {probe.get(timeout=SECONDS) for probe in probes} == {None}
    assert [run.wrong for run in workers.scene.runs()] == [False] * 8


def outcome(result: Any) -> str:
    """Returns what became of a message, in words."""
    return repr(result.get(timeout=SECONDS, propagate=False))


def test_forged_and_missing_headers_never_reach_the_body(workers: Workshop) -> None:
    near, far, *_ = workers.scene.tenants
    forged: dict[str, tuple[Any, str]] = {
        "none": ({}, "JobTenantMissing"),
        "a slug": ({"tenantry_tenant": near.slug}, "JobHeadersRefused"),
        "upper case": ({"tenantry_tenant": str(near.id).upper()}, "JobHeadersRefused"),
        "a list": ({"tenantry_tenant": [str(near.id)]}, "JobHeadersRefused"),
        "empty": ({"tenantry_tenant": ""}, "JobHeadersRefused"),
        "SQL": ({"tenantry_tenant": f"{near.id}' OR '1"}, "JobHeadersRefused"),
        "nobody": ({"tenantry_tenant": str(uuid.uuid4())}, "TenantNotFound"),
        "an actor of two lines": ({"tenantry_tenant": str(near.id), "tenantry_actor": "a\nb"}, "JobHeadersRefused"),
        "no headers": ({"headers": str(near.id)}, "JobHeadersRefused"),
        "another name": ({"tenant": str(near.id), "X-Tenant": near.slug}, "JobTenantMissing"),
    }
    kwargs = {"number": 1, "meant": str(near.id), "tenant": str(far.id)}
    for what, (headers, expected) in forged.items():
        sent = workers.app.send_task("bodies.note", kwargs=kwargs, headers=headers)
        assert expected in outcome(sent), what
    assert "JobHeadersRefused" in outcome(
        workers.app.send_task("bodies.fan_out", args=(1,), headers={"tenantry_tenant": str(near.id)})
    )
    assert workers.scene.runs() == []
    # The control: the same message with what `headers` gives; the tenant among the arguments counts for nothing.
    sent = workers.app.send_task("bodies.note", kwargs=kwargs, headers=workers.bodies.jobs.headers(near))
    assert outcome(sent) == "[1]"
    assert [run.owner for run in workers.scene.runs()] == [near.id]


def test_records_of_another_tenant_are_refused_by_the_worker(workers: Workshop) -> None:
    near, far, *_ = workers.scene.tenants
    with workers.scene.tenancy.transaction(near) as session:
        note = Note(text="near's")
        session.add(note)
    kwargs = {"note_id": str(note.id), "number": 1, "meant": str(near.id)}

    def sent(owner: Tenant, **changed: str) -> str:
        headers = workers.bodies.jobs.headers(owner)
        return outcome(workers.app.send_task("bodies.keep", kwargs={**kwargs, **changed}, headers=headers))

    foreign, missing = sent(far), sent(far, note_id=str(uuid.uuid4()))
    assert "JobRecordMissing" in foreign
    assert foreign == missing
    assert "JobRecordMissing" in sent(near, note_id="'")
    assert workers.scene.runs() == []
    assert sent(near) == "None"
    assert [run.owner for run in workers.scene.runs()] == [near.id]


def test_canvases_stay_with_whoever_sent_them(workers: Workshop) -> None:
    near, far, *_ = workers.scene.tenants
    bodies = workers.bodies

    def steps(tenant: Tenant, first: int) -> Any:
        note = [bodies.note.si(first + number, str(tenant.id)) for number in range(4)]
        return celery.chain(note[0], celery.group(note[1], note[2]), note[3])

    unaddressed = steps(near, 0)
    with bodies.jobs.sending(near):
        whole = unaddressed.apply_async()
    with bodies.jobs.sending(far):
        remembered = steps(far, 10)
    others = remembered.apply_async()
    assert whole.get(timeout=SECONDS) == [3]
    assert others.get(timeout=SECONDS) == [13]
    with bodies.jobs.sending(near):
        linked = bodies.note.si(20, str(near.id))
        linked.link(bodies.note.si(21, str(near.id)))
        linked.apply_async().get(timeout=SECONDS)
        # What remembers another tenant is not sent in this one's name, nor in the other's.
        with pytest.raises(errors.JobTenantsDisagree):
            remembered.clone().apply_async()
    with pytest.raises(errors.JobTenantMissing):
        steps(near, 30).apply_async()
    wanted = [*((near.id, number) for number in (0, 1, 2, 3, 20, 21)), *((far.id, 10 + number) for number in range(4))]
    runs = workers.scene.await_runs(wanted)
    assert sorted((run.owner, run.number) for run in runs) == sorted(wanted)
    assert [run for run in runs if run.wrong] == []


def test_a_chain_goes_on_for_its_tenant_past_a_task_of_nobody(workers: Workshop) -> None:
    near, *_ = workers.scene.tenants
    with workers.bodies.jobs.sending(near):
        chain = workers.bodies.probe.si() | workers.bodies.note.si(1, str(near.id))
    assert chain.apply_async().get(timeout=SECONDS) == [1]
    unaddressed = workers.bodies.probe.si() | workers.bodies.note.si(2, str(near.id))
    with workers.bodies.jobs.sending(near):
        # Celery calls a task failed whose next link could not be sent.
        assert "JobTenantMissing" in outcome(unaddressed.apply_async().parent)
    with workers.bodies.jobs.sending(near):
        workers.bodies.note.delay(3, str(near.id)).get(timeout=SECONDS)
    assert {run.number for run in workers.scene.runs()} == {1, 3}


def test_a_schedule_without_a_tenant_runs_nothing(workers: Workshop) -> None:
    near, *_ = workers.scene.tenants
    note = {"task": "bodies.note", "schedule": 1, "args": (1, str(near.id))}
    stranger = celery.Celery(broker=workers.settings["JOBS_BROKER"], backend=workers.settings["JOBS_BACKEND"])
    stranger.conf.task_default_queue = "prefork"

    def due(app: celery.Celery, **options: Any) -> Any:
        scheduler = Scheduler(app=app, lazy=True)
        return scheduler.apply_async(scheduler.Entry(**{**note, "name": "due", "options": options}, app=app))

    # Beat knows the task: nothing is sent. It does not: the worker refuses.
    with pytest.raises(SchedulingError, match="names no tenant"):
        due(workers.app)
    assert "JobTenantMissing" in outcome(due(stranger))
    assert workers.scene.runs() == []
    assert outcome(due(workers.app, headers=workers.bodies.jobs.headers(near))) == "[1]"
    assert [run.owner for run in workers.scene.runs()] == [near.id]
    stranger.close()


def test_a_platform_job_sends_one_for_each_tenant(workers: Workshop) -> None:
    count = workers.bodies.fan_out.delay(7).get(timeout=SECONDS)
    tenants = list(workers.scene.tenancy.every_tenant())
    assert count == len(tenants)
    runs = workers.scene.await_runs((tenant.id, 7) for tenant in workers.scene.tenants)
    assert [run for run in runs if run.wrong] == []


def test_what_can_soon_be_done_is_tried_again_for_the_same_tenant(workers: Workshop) -> None:
    near, *_ = workers.scene.tenants
    with workers.bodies.jobs.sending(near):
        assert outcome(workers.bodies.note.delay(1, str(near.id), "moving")) == "[1]"
    assert [(run.owner, run.wrong) for run in workers.scene.runs()] == [(near.id, False)]


def test_suspended_tenants_get_no_jobs(workers: Workshop) -> None:
    tenancy = workers.scene.tenancy
    tenant = tenancy.tenants.create(f"idle-{uuid.uuid4().hex[:8]}")
    headers = workers.bodies.jobs.headers(tenant)
    tenancy.tenants.suspend(tenant.slug)
    kwargs = {"number": 1, "meant": str(tenant.id)}
    assert "TenantSuspended" in outcome(workers.app.send_task("bodies.note", kwargs=kwargs, headers=headers))
    tenancy.tenants.resume(tenant.slug)
    assert outcome(workers.app.send_task("bodies.note", kwargs=kwargs, headers=headers)) == "[1]"


@pytest.mark.soak
def test_a_chord_stays_with_its_sender_where_results_are_no_counters(files: Workshop) -> None:
    near, far, *_ = files.scene.tenants
    note = files.bodies.note

    def chord(tenant: Tenant) -> Any:
        return celery.chord([note.si(number, str(tenant.id)) for number in (1, 2)], note.si(3, str(tenant.id)))

    unaddressed = [(tenant, chord(tenant)) for tenant in (near, far)]
    for tenant, sent in unaddressed:
        with files.bodies.jobs.sending(tenant):
            sent.apply_async()
    with files.worker("prefork", 1):
        runs = files.scene.await_runs((tenant.id, number) for tenant in (near, far) for number in (1, 2, 3))
    assert [run for run in runs if run.wrong] == []
