"""The job that runs here, and its sessions; a task or thread has what was bound around it, and nothing after that."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tenantry.errors import JobTenantMissing, NoJob
from tenantry.jobs.envelope import Envelope
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession


@dataclass(frozen=True, slots=True)
class Job:
    """A job while its body runs: whose it is, who sent it, and the sessions it may have."""

    task: str
    envelope: Envelope
    tenancy: Tenancy = field(repr=False)

    @property
    def tenant(self) -> uuid.UUID:
        """The tenant.

        Raises: JobTenantMissing for a job of the platform.
        """
        if self.envelope.tenant is None:
            raise JobTenantMissing(task=self.task)
        return self.envelope.tenant

    @contextlib.contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[TenantSession]:
        """Opens a session of the job's tenant that knows who sent the job; the caller commits.

        Raises: JobTenantMissing for a job of the platform, and as ``Tenancy.session``.
        """
        with self.tenancy.session(self.tenant, read_only=read_only) as session:
            session.info.update(self.envelope.facts())
            yield session

    @contextlib.contextmanager
    def transaction(self) -> Iterator[TenantSession]:
        """Opens such a session, commits on leaving, and rolls back on an error.

        Raises: as ``session``, and OutcomeUnknown.
        """
        with self.session() as session:
            yield session
            session.commit()

    @contextlib.asynccontextmanager
    async def async_session(self, *, read_only: bool = False) -> AsyncIterator[AsyncTenantSession]:
        """Opens an async session of the job's tenant; the caller commits.

        Raises: as ``session``.
        """
        async with self.tenancy.aio.session(self.tenant, read_only=read_only) as session:
            session.info.update(self.envelope.facts())
            yield session

    @contextlib.asynccontextmanager
    async def async_transaction(self) -> AsyncIterator[AsyncTenantSession]:
        """Opens such a session, commits on leaving, and rolls back on an error.

        Raises: as ``transaction``.
        """
        async with self.async_session() as session:
            yield session
            await session.commit()


@dataclass(slots=True)
class Bound:
    """What jobs sent from here are told; ``job`` is the one whose body runs, if one does.

    It is over with its block, also for a task or an event loop that began inside and took a copy along.
    """

    envelope: Envelope
    job: Job | None = None
    over: bool = False


# Set by `bound` alone, which takes it back: there is no way to leave a tenant behind.
_bound: Final[ContextVar[Bound | None]] = ContextVar("tenantry_job", default=None)


@contextlib.contextmanager
def bound(to: Bound | None) -> Iterator[None]:
    """Binds this task or thread for a block, whatever was bound to it before."""
    token = _bound.set(to)
    try:
        yield
    finally:
        _bound.reset(token)
        if to is not None:
            to.over = True


def bound_here() -> Bound | None:
    """Returns what this task or thread is bound to."""
    here = _bound.get()
    return None if here is None or here.over else here


def current_job() -> Job:
    """Returns the job whose body runs here.

    Raises: NoJob.
    """
    here = bound_here()
    if here is None or here.job is None:
        raise NoJob
    return here.job


def job_session(*, read_only: bool = False) -> contextlib.AbstractContextManager[TenantSession]:
    """Opens a session of the running job's tenant, for a ``with`` block; the caller commits.

    Raises: NoJob, and as ``Job.session``.
    """
    return current_job().session(read_only=read_only)


def job_transaction() -> contextlib.AbstractContextManager[TenantSession]:
    """Opens a session of the running job's tenant, commits on leaving, and rolls back on an error.

    Raises: NoJob, and as ``Job.transaction``.
    """
    return current_job().transaction()


def async_job_session(*, read_only: bool = False) -> contextlib.AbstractAsyncContextManager[AsyncTenantSession]:
    """Opens an async session of the running job's tenant, for an ``async with`` block; the caller commits.

    Raises: NoJob, and as ``Job.session``.
    """
    return current_job().async_session(read_only=read_only)


def async_job_transaction() -> contextlib.AbstractAsyncContextManager[AsyncTenantSession]:
    """Opens an async session of the running job's tenant, commits on leaving, and rolls back on an error.

    Raises: NoJob, and as ``Job.transaction``.
    """
    return current_job().async_transaction()
