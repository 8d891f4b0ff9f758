"""Celery tasks that run where they are sent: what is bound there is bound afterwards too, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import celery
import pytest
from cells import Ground

from tenantry import errors
from tenantry.jobs import current_job
from tenantry.jobs.celery import CeleryJobs

from .conftest import HERE


@pytest.fixture
def app() -> Iterator[celery.Celery]:
    app = celery.Celery("eager", broker="memory://", set_as_current=False, task_always_eager=True)
    yield app
    app.close()


def test_several_made_for_one_app_leave_bound_what_was(ground: Ground, app: celery.Celery) -> None:
    tenancy = ground.tenancy(HERE)
    near, far = (tenancy.tenants.get(f"{side}-{HERE.cell}") for side in ("near", "far"))
    jobs, *_ = (CeleryJobs(tenancy, app) for _ in range(2))

    @jobs.task(name="eager.whose")
    def whose() -> str:
        return str(current_job().tenant)

    for tenant in (near, far):
        with jobs.sending(tenant):
            sent = [whose.delay().get(), whose.delay().get(), (whose.si() | whose.si()).delay().get()]
        assert sent == [str(tenant.id)] * 3
        with pytest.raises(errors.JobTenantMissing):
            whose.delay()
