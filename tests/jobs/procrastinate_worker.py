"""A procrastinate worker of these tests, a process of its own: it works until it is ended or killed."""

from __future__ import annotations

import os
from pathlib import Path

import procrastinate

from tenantry import Tenancy
from tenantry.idempotency import Idempotency
from tenantry.jobs.procrastinate import ProcrastinateJobs

from .bodies import Bodies
from .models import Base


def declare(app: procrastinate.App, tenancy: Tenancy, marks: Path) -> Bodies:
    """Declares the tasks; what fails is tried again at once."""
    jobs = ProcrastinateJobs(tenancy, app, idempotency=Idempotency(tenancy))
    retry = procrastinate.RetryStrategy(max_attempts=5, retry_exceptions=[ConnectionError])
    return Bodies(jobs, marks, retry=retry)


if __name__ == "__main__":
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["JOBS_QUEUE"]))
    tenancy = Tenancy(os.environ["JOBS_URL"], models=Base, platform_url=os.environ["JOBS_PLATFORM_URL"])
    declare(app, tenancy, Path(os.environ["JOBS_MARKS"]))
    app.run_worker(concurrency=4, update_heartbeat_interval=1, stalled_worker_timeout=3)
