"""A task as it was declared, and how its body is run for one message."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from tenantry.errors import (
    ConfigurationError,
    IdempotencyInFlight,
    JobHeadersRefused,
    JobTenantMissing,
    TenantMoved,
    TenantMoving,
)
from tenantry.idempotency import Idempotency
from tenantry.jobs.context import Bound, Job, bound
from tenantry.jobs.envelope import Envelope
from tenantry.jobs.records import find_records, named_records, refuse_foreign, without_first
from tenantry.tenancy import Tenancy

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession

# Nothing of the job has taken effect, and soon it can: for engines to try it again.
LATER: Final = (TenantMoving, TenantMoved, IdempotencyInFlight)
LATER_TIMES: Final = 20


def seconds_until(error: BaseException) -> float:
    """Returns after how many seconds to try again what raised one of ``LATER``."""
    return float(getattr(error, "retry_after", None) or 1.0)


@dataclass(frozen=True)
class Work:
    """A task's body and what was declared of it: whose it is about, and what it is given.

    *head* parameters in front are the engine's own, such as a bound task.
    """

    tenancy: Tenancy = field(repr=False)
    name: str
    body: Callable[..., Any]
    platform: bool = False
    transactional: bool = False
    once: Idempotency | None = None
    records: Mapping[str, type] = field(default_factory=dict)
    head: int = 0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.records) - set(self.signature.parameters))
        if unknown:
            raise ConfigurationError(
                what=f"records= of job {self.name} names parameters that it does not have: {', '.join(unknown)}.",
                fix="Name its parameters.",
            )
        if self.platform and (self.transactional or self.records):
            raise ConfigurationError(
                what=f"Job {self.name} is about the platform, so it has no tenant's session or records.",
                fix="Open tenancy.platform() in its body.",
            )

    @cached_property
    def is_async(self) -> bool:
        """Whether the body is a coroutine function."""
        return inspect.iscoroutinefunction(self.body)

    @cached_property
    def signature(self) -> inspect.Signature:
        """What whoever sends the job gives."""
        return without_first(self.body, self.head + self.transactional)

    def admit(self, envelope: Envelope) -> Envelope:
        """Returns the envelope of a message that names a tenant if, and only if, the task is a tenant's.

        Raises: JobTenantMissing, JobHeadersRefused.
        """
        if not self.platform and envelope.tenant is None:
            raise JobTenantMissing(task=self.name)
        if self.platform and envelope.tenant is not None:
            raise JobHeadersRefused(task=self.name, reason="it is about the platform, and they name a tenant.")
        return envelope

    def run(self, envelope: Envelope, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Runs the body for one message and returns what it gives; a coroutine function in an event loop of its own.

        Raises: JobTenantMissing, JobHeadersRefused, JobForeign, JobRecordMissing, as ``Tenancy.session``, each before
            the body; and whatever the body raises.
        """
        if self.is_async:
            return asyncio.run(self._run_alone(envelope, args, kwargs))
        with self._bound(envelope, args, kwargs) as job:
            if not self.platform:
                self.tenancy.router.route(job.tenant)
            return self._perform(job, args, kwargs)

    async def run_async(self, envelope: Envelope, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Awaits the body of a coroutine function for one message.

        Raises: as ``run``.
        """
        with self._bound(envelope, args, kwargs) as job:
            if not self.platform:
                await self.tenancy.router.route_async(job.tenant)
            return await self._perform_async(job, args, kwargs)

    async def _run_alone(self, *message: Any) -> Any:
        try:
            return await self.run_async(*message)
        finally:
            # This loop ends with the job, and its connections with it.
            await self.tenancy.aio.close()

    @contextlib.contextmanager
    def _bound(self, envelope: Envelope, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Job]:
        with bound(None):
            job = Job(self.name, self.admit(envelope).keyed(), self.tenancy)
            if not self.platform:
                refuse_foreign(self.name, job.tenant, args, kwargs)
            with bound(Bound(job.envelope.unkeyed(), job)):
                yield job

    def _perform(self, job: Job, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        head, rest = args[: self.head], args[self.head :]
        if not self.transactional:
            if self.records:
                with job.session() as session:
                    find_records(session, job, self._named(rest, kwargs))
            return self.body(*args, **kwargs)
        with job.transaction() as session:
            find_records(session, job, self._named(rest, kwargs))
            effect = partial(_with_session, self.body, head, rest, kwargs)
            if self.once is None:
                return effect(session)
            return self.once.run(session, str(job.envelope.key), effect, scope=self.name).value

    async def _perform_async(self, job: Job, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        head, rest = args[: self.head], args[self.head :]
        if not self.transactional:
            if self.records:
                async with self._checking(job, rest, kwargs):
                    pass
            return await self.body(*args, **kwargs)
        async with self._checking(job, rest, kwargs) as session:
            effect = partial(_with_session, self.body, head, rest, kwargs)
            result = await self._effect(job, session, effect)
            await session.commit()
            return result

    @contextlib.asynccontextmanager
    async def _checking(
        self, job: Job, rest: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> AsyncIterator[AsyncTenantSession]:
        async with job.async_session() as session:
            await session.run_sync(find_records, job, self._named(rest, kwargs))
            yield session

    def _named(self, rest: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, tuple[type, Any]]:
        return named_records(self.records, self.signature, rest, kwargs) if self.records else {}

    async def _effect(self, job: Job, session: AsyncTenantSession, effect: Callable[..., Any]) -> Any:
        if self.once is None:
            return await effect(session)
        return (await self.once.aio.run(session, str(job.envelope.key), effect, scope=self.name)).value


def _with_session(
    body: Callable[..., Any],
    head: tuple[Any, ...],
    rest: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    session: object,
) -> Any:
    return body(*head, session, *rest, **kwargs)
