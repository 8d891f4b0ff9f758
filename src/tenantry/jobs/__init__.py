"""Background work that carries its tenant: plain functions here, ``jobs.celery`` and ``jobs.procrastinate`` beside."""

from tenantry.jobs.context import (
    Job,
    async_job_session,
    async_job_transaction,
    current_job,
    job_session,
    job_transaction,
)
from tenantry.jobs.core import Jobs
from tenantry.jobs.plain import Carried, PlainTask

__all__ = [
    "Carried",
    "Job",
    "Jobs",
    "PlainTask",
    "async_job_session",
    "async_job_transaction",
    "current_job",
    "job_session",
    "job_transaction",
]
