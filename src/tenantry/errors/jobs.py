"""Background jobs: for which tenant they run, and with whose records."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class JobTenantMissing(TenantryError):
    """Job {task} names no tenant, so it was not run. Send it inside `with jobs.sending(key_or_session):`, or declare it
    with platform_task if it is about the platform."""


class JobHeadersRefused(TenantryError):
    """Job {task} was not run, as its headers cannot be used: {reason} Send it inside
    `with jobs.sending(key_or_session):`, which writes them."""


class JobTenantsDisagree(TenantryError):
    """What works for tenant {tenant} cannot send jobs for another, so nothing was sent. Send them from a platform job,
    or from outside of any job."""


class JobForeign(TenantryError):
    """Job {task} of tenant {tenant} was given {what} of another tenant, so it was not run. Give it ids, and load the
    rows in the job's own session."""


class JobRecordMissing(TenantryError, LookupError):
    """Job {task} of tenant {tenant} was not run: the tenant has no {model} that {argument}= names. Send the job after
    the row's commit, and inside `with jobs.sending(...)` of the row's own tenant."""


class NoJob(TenantryError):
    """No job is running here, so there is none to get a session of. Call it in a task's body, or open
    tenancy.session(key)."""
