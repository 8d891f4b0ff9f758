"""The Celery app of these tests: its workers import it, and who sends makes one of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import celery

from tenantry import Tenancy
from tenantry.idempotency import Idempotency
from tenantry.jobs.celery import CeleryJobs
from tenantry.jobs.context import bound_here

from .bodies import Bodies
from .models import Base

# What a killed worker had in hand is otherwise looked for each hundred seconds, and not for five minutes where the one
# that was killed was just looking.
LOOKS_OFTEN = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1, "unacked_mutex_expire": 5}


def make_app(broker: str, backend: str, **settings: Any) -> celery.Celery:
    """Returns an app whose jobs survive their workers."""
    app = celery.Celery("jobs", broker=broker, backend=backend)
    transport: dict[str, Any] = {"visibility_timeout": 5, "polling_interval": 0.05, **LOOKS_OFTEN}
    if broker.startswith("filesystem:"):
        messages = Path(backend.removeprefix("file://"))
        transport |= {f"data_folder_{way}": messages for way in ("in", "out")} | {"control_folder": messages}
    app.conf.update(
        task_default_queue="prefork",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options=transport,
        result_chord_retry_interval=0.2,
        **settings,
    )
    return app


def declare(app: celery.Celery, tenancy: Tenancy, marks: Path) -> Bodies:
    """Declares the tasks, and one that is nobody's."""
    jobs = CeleryJobs(tenancy, app, idempotency=Idempotency(tenancy))
    bodies = Bodies(jobs, marks, autoretry_for=(ConnectionError,), retry_kwargs={"countdown": 0, "max_retries": 5})

    @app.task(name="bodies.probe", shared=False)
    def probe() -> str | None:
        here = bound_here()
        return None if here is None or here.envelope.tenant is None else str(here.envelope.tenant)

    bodies.probe = probe
    return bodies


if "JOBS_BROKER" in os.environ:
    app = make_app(os.environ["JOBS_BROKER"], os.environ["JOBS_BACKEND"])
    tenancy = Tenancy(os.environ["JOBS_URL"], models=Base, platform_url=os.environ["JOBS_PLATFORM_URL"])
    declare(app, tenancy, Path(os.environ["JOBS_MARKS"]))
