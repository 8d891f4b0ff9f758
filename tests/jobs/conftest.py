"""One ground for the room; a broker and two kinds of Celery workers, started once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import celery
import pytest
from cells import Ground, Place, opened
from limits.redis_server import PROGRAM, redis_server

from tenantry.idempotency import Idempotency
from tenantry.jobs import Jobs
from tenantry.outbox import Outbox

from .bodies import Bodies
from .celery_worker import declare, make_app
from .models import Base
from .scene import Scene, process

HERE = Place("postgresql-rows", "sync")


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Both databases, where `made(place)` has plain jobs."""
    with opened(postgres, tmp_path_factory.mktemp("jobs"), Base, make_jobs) as ground:
        yield ground


def make_jobs(tenancy: Any) -> Jobs:
    Outbox(tenancy)
    return Jobs(tenancy, idempotency=Idempotency(tenancy))


@dataclass
class Workshop:
    """A Celery app as its senders have it, its tasks, and the tenants they are for."""

    app: celery.Celery
    bodies: Bodies
    scene: Scene
    settings: dict[str, str]
    log: Path

    def worker(self, pool: str, concurrency: int = 2) -> Any:
        """Starts a worker that takes the queue named as its pool."""
        program = ["-m", "celery", "-A", "jobs.celery_worker", "worker", "-P", pool, "-c", str(concurrency), "-Q", pool]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
        return process([*program, *quiet, "-n", f"{pool}@%h"], self.log / f"{pool}.log", **self.settings)


@contextmanager
def opened_workshop(ground: Ground, directory: Path, broker: str, backend: str) -> Iterator[Workshop]:
    """Lends a workshop on a broker."""
    marks = directory / "marks"
    marks.mkdir()
    settings = {
        "JOBS_BROKER": broker,
        "JOBS_BACKEND": backend,
        "JOBS_URL": ground.urls["app_url"],
        "JOBS_PLATFORM_URL": ground.urls["platform_url"],
        "JOBS_MARKS": str(marks),
    }
    app, tenancy = make_app(broker, backend), ground.tenancy(HERE)
    yield Workshop(app, declare(app, tenancy, marks), Scene.of(tenancy, 5), settings, directory)
    app.close()


@pytest.fixture(scope="package")
def workshop(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Redis where its program is, and a directory of files elsewhere."""
    with ExitStack() as ends:
        directory = tmp_path_factory.mktemp("celery")
        addresses = files_in(directory)
        if PROGRAM is not None:
            addresses = (ends.enter_context(redis_server(directory)).url,) * 2
        yield ends.enter_context(opened_workshop(ground, directory, *addresses))


@pytest.fixture
def files(ground: Ground, tmp_path: Path) -> Iterator[Workshop]:
    """A workshop whose broker and results are files."""
    with opened_workshop(ground, tmp_path, *files_in(tmp_path)) as workshop:
        yield workshop


def files_in(directory: Path) -> tuple[str, str]:
    """Returns the addresses of a broker and of results in a new directory."""
    messages = directory / "messages"
    messages.mkdir()
    return "filesystem://", f"file://{messages}"


@pytest.fixture(scope="package")
def workers(workshop: Workshop) -> Iterator[Workshop]:
    """The workshop with a worker of processes and one of threads."""
    with workshop.worker("prefork") as processes, workshop.worker("threads") as threads:
        yield workshop
        processes.terminate()
        threads.terminate()
