"""Tasks at a module's top, as an executor of processes needs them."""

from __future__ import annotations

import os
from typing import Any

from tenantry import Tenancy
from tenantry.jobs import Jobs, job_session

from .models import Base

tenancy = Tenancy(os.environ.get("JOBS_PLAIN_URL", "sqlite:///nowhere"), models=Base)
jobs = Jobs(tenancy)


@jobs.task
def whose() -> Any:
    """Returns the tenant that the session of this job says it has."""
    with job_session() as session:
        return session.tenant.id
