"""A thousand jobs of twenty tenants on each engine, while their workers are killed; prints what was seen."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import procrastinate
import pytest
import redis
from cells import Ground
from limits.redis_server import PROGRAM
from sqlalchemy import text

from tenantry.jobs import current_job, job_session
from tenantry.outbox import Backoff, Event, Outbox, Relay

from .bodies import Bodies
from .conftest import HERE, Workshop
from .procrastinate_worker import declare
from .scene import Scene, children, process

JOBS, TENANTS = 1000, 20
STANDSTILL = 60
PROGRESS = 10
# How long a job may take before it is sent again.
PATIENCE = 15
QUEUES = ("prefork", "threads")
TROUBLES = ("", "", "", "fails", "moving", "", "", "", "killed", "")

pytestmark = pytest.mark.soak
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed here")


@dataclass
class Crew:
    """Workers that are killed at random and started again."""

    start: list[Callable[[], Any]]
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    killed_workers: int = 0
    killed_children: int = 0
    restarts: int = 0
    _ends: ExitStack = field(default_factory=ExitStack)
    _running: list[Any] = field(default_factory=list)

    def __enter__(self) -> Crew:
        self._running = [self._ends.enter_context(start()) for start in self.start]
        return self

    def __exit__(self, *raised: object) -> None:
        for worker in self._running:
            worker.terminate()
        self._ends.close()

    def trouble(self) -> None:
        """Kills a process of a pool, or now and then a whole worker."""
        number = self.rng.randrange(len(self._running))
        worker = self._running[number]
        pool = children(worker.pid) if worker.poll() is None else []
        if pool and self.rng.random() < 0.7:
            self._kill(self.rng.choice(pool))
            self.killed_children += 1
        elif worker.poll() is None and self.rng.random() < 0.5:
            for pid in [worker.pid, *pool]:
                self._kill(pid)
            worker.wait(20)
            self.killed_workers += 1

    def mend(self) -> None:
        """Starts what is dead, by us or by its own job."""
        for place, begin in enumerate(self.start):
            if self._running[place].poll() is not None:
                self._running[place] = self._ends.enter_context(begin())
                self.restarts += 1

    def _kill(self, pid: int) -> None:
        # Its own children are gone by the time it is waited for.
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def send(bodies: Bodies, scene: Scene, put: Callable[..., Any]) -> list[tuple[Any, int]]:
    """Sends every job, the tenants in turn."""
    sent = []
    for number, tenant in zip(range(JOBS), itertools.cycle(scene.tenants), strict=False):
        with bodies.jobs.sending(tenant, actor=tenant.slug):
            put(number, {"number": number, "meant": str(tenant.id), "pause": 0.02, "trouble": TROUBLES[number % 10]})
        sent.append((tenant.id, number))
    return sent


def work_off(scene: Scene, sent: list[tuple[Any, int]], crew: Crew, meanwhile: Callable[[], Any]) -> None:
    """Kills workers until nine in ten jobs are done, and lets them finish the rest, until nothing more is done."""
    most, changed, spared = 0, time.monotonic(), 0
    while (done := len({(run.owner, run.number) for run in scene.runs()})) < len(sent):
        if done > most:
            most, changed = done, time.monotonic()
        if time.monotonic() > changed + STANDSTILL:
            return
        # Only after some progress: on a busy machine nothing would ever be done.
        if spared + PROGRESS <= done < 0.9 * len(sent):
            crew.trouble()
            spared = done
        crew.mend()
        meanwhile()
        time.sleep(1)


def tell(engine: str, scene: Scene, sent: list[tuple[Any, int]], bodies: Bodies, crew: Crew) -> int:
    """Prints the figures, holds them to what is promised, and returns how many jobs are lost."""
    runs, attempts = scene.runs(), bodies.attempts()
    wrong = [run for run in runs if run.wrong] + [attempt for attempt in attempts if len(set(attempt)) > 1]
    kept = sorted((run.owner, run.number) for run in runs)
    print(
        f"\n{engine}: {len(sent)} jobs of {len(scene.tenants)} tenants, {len(attempts)} attempts, "
        f"{crew.killed_children} processes and {crew.killed_workers} workers killed from outside, "
        f"{len(list(bodies.marks.glob('killed-*')))} by themselves, {crew.restarts} workers started again: "
        f"{len(wrong)} under another tenant, {len(set(sent) - set(kept))} lost, {len(kept) - len(set(kept))} doubled"
    )
    begun = bodies.attempts_of()
    for _, number in sorted(set(sent) - set(kept)):
        print(f"lost: job {number}, {TROUBLES[number % 10] or 'no trouble'}, {begun[number]} attempts")
    assert wrong == []
    assert len(kept) == len(set(kept))
    return len(set(sent) - set(kept))


def test_plain_functions(ground: Ground) -> None:
    """Ten thousand jobs on eight threads that are used again and again, one in ten of which fails."""
    scene, jobs = Scene.of(ground.tenancy(HERE), TENANTS), ground.made(HERE)

    @jobs.task
    def check(meant: uuid.UUID, fails: bool) -> bool:
        with job_session() as session:
            wall = session.scalar(text("select current_setting('tenantry.tenant')"))
            if fails:
                raise ConnectionError
            return {uuid.UUID(wall), session.tenant.id, current_job().tenant} == {meant}

    def put(number: int) -> Any:
        tenant = scene.tenants[number % TENANTS]
        with jobs.sending(tenant):
            return pool.submit(check.carry(), tenant.id, number % 10 == 0)

    with ThreadPoolExecutor(8) as pool:
        begun = [put(number) for number in range(10_000)]
    failed = [done for done in begun if done.exception() is not None]
    right = [done for done in begun if done.exception() is None and done.result()]
    print(
        f"\nplain functions: {len(begun)} jobs of {TENANTS} tenants on 8 threads, {len(failed)} failed, as told: ",
        end="",
    )
    print(f"{len(begun) - len(failed) - len(right)} under another tenant")
    assert (len(right), len(failed)) == (9_000, 1_000)
    assert {type(done.exception()) for done in failed} == {ConnectionError}


@pytest.fixture
def unmarked(workshop: Workshop) -> Workshop:
    """The workshop, where nothing has been attempted yet."""
    for mark in workshop.bodies.marks.iterdir():
        mark.unlink()
    return workshop


@needs_redis
def test_celery(unmarked: Workshop) -> None:
    """A killed worker takes along one message at most: the one that it had taken out of Redis and not read yet."""
    scene, bodies = Scene.of(unmarked.scene.tenancy, TENANTS), unmarked.bodies

    def put(number: int, given: dict[str, Any]) -> None:
        bodies.once.apply_async(kwargs=given, queue=QUEUES[number % 2])

    sent = send(bodies, scene, put)
    with Crew(celery_workers(unmarked)) as crew:
        work_off(scene, sent, crew, lambda: None)
        lost = tell("Celery", scene, sent, bodies, crew)
        assert left_in_redis(unmarked) == 0
    assert lost <= crew.restarts
    assert refusals(unmarked.log) == []


# Each thread that waits for results has connections of Celery's, which nobody closes when it ends.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@needs_redis
def test_celery_behind_an_outbox(unmarked: Workshop) -> None:
    """An event is acknowledged when its job is done, and until then the job is sent again under the same key."""
    scene, bodies = Scene.of(unmarked.scene.tenancy, TENANTS), unmarked.bodies
    outbox = Outbox(scene.tenancy)

    @outbox.handler("job")
    def have_done(event: Event) -> None:
        queue = QUEUES[event.payload["number"] % 2]
        with bodies.jobs.sending(event.tenant, actor=event.headers["actor"], key=str(event.id)):
            bodies.once.apply_async(kwargs=dict(event.payload), queue=queue).get(timeout=PATIENCE)

    def put(_: int, given: dict[str, Any]) -> None:
        with scene.tenancy.transaction(uuid.UUID(given["meant"])) as session:
            outbox.add(session, "job", given, headers={"actor": session.tenant.slug})

    sent = send(bodies, scene, put)
    relay = Relay(outbox, jobs=TENANTS, attempts=50, backoff=Backoff(first=0.1, longest=1.0))
    relaying = threading.Thread(target=relay.run, kwargs={"every": 1.0, "tenants": lambda: scene.tenants})
    with Crew(celery_workers(unmarked)) as crew:
        relaying.start()
        try:
            work_off(scene, sent, crew, lambda: None)
        finally:
            relay.stop()
            relaying.join()
            # While Redis is there still, which they speak to once more.
            gc.collect()
        assert tell("Celery behind an outbox", scene, sent, bodies, crew) == 0


def celery_workers(workshop: Workshop) -> list[Callable[[], Any]]:
    """Returns what starts a worker of processes, and one of threads."""
    return [lambda: workshop.worker("prefork", 4), lambda: workshop.worker("threads", 4)]


def left_in_redis(workshop: Workshop) -> int:
    """Returns how many messages Celery still has: in its queues, or with its workers."""
    with redis.Redis.from_url(workshop.settings["JOBS_BROKER"]) as client:
        return sum(map(client.llen, QUEUES)) + client.hlen("unacked")


def refusals(log: Path) -> list[str]:
    """Returns what workers said of jobs that they gave up."""
    lines = [line for file in log.glob("*.log") for line in file.read_text().splitlines(keepends=True)]
    return [line for line in lines if "raised unexpected" in line]


@pytest.fixture
def queue(fresh_database: str) -> Iterator[procrastinate.App]:
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=fresh_database))
    with app.open():
        app.schema_manager.apply_schema()
        yield app


def test_procrastinate(ground: Ground, queue: procrastinate.App, fresh_database: str, tmp_path: Path) -> None:
    tenancy, urls = ground.tenancy(HERE), ground.urls
    scene, bodies = Scene.of(tenancy, TENANTS), declare(queue, tenancy, tmp_path)
    sent = send(bodies, scene, lambda _, given: bodies.once.defer(**given))
    settings = {
        "JOBS_QUEUE": fresh_database,
        "JOBS_URL": urls["app_url"],
        "JOBS_PLATFORM_URL": urls["platform_url"],
        "JOBS_MARKS": str(tmp_path),
    }

    async def take_up() -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=fresh_database))
        async with app.open_async():
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=3):
                await app.job_manager.retry_job(job)

    def begin() -> Any:
        return process(["-m", "jobs.procrastinate_worker"], tmp_path / "worker.log", **settings)

    with Crew([begin, begin]) as crew:
        work_off(scene, sent, crew, lambda: asyncio.run(take_up()))
        assert tell("procrastinate", scene, sent, bodies, crew) == 0
