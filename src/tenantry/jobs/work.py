"""A task as it was declared, and how its body is run for one message."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

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
from tenantry.jobs.records import find_records, refuse_foreign, without_first
from tenantry.tenancy import Tenancy

# Nothing of the job has taken effect, and soon it can: for engines to try it again.
LATER: Final = (TenantMoving, TenantMoved, IdempotencyInFlight)
LATER_TIMES: Final = 20


def seconds_until(error: BaseException) -> float:
    """Returns after how many seconds to try again what raised one of ``LATER``."""
    return float(getattr(error, "retry_after", None) or 1.0)


@dataclass(frozen=True, slots=True)
class Message:
    """What a worker was handed: whose the job is, and what the body is given."""

    envelope: Envelope
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


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
        if inspect.isgeneratorfunction(self.body) or inspect.isasyncgenfunction(self.body):
            raise ConfigurationError(
                what=f"Job {self.name} is a generator function: its body would run when the job is over, or never.",
                fix="Return what it yields, such as a list.",
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

    def run(self, message: Message) -> Any:
        """Runs the body for one message and returns what it gives; a coroutine function in an event loop of its own.

        Raises: JobTenantMissing, JobHeadersRefused, JobForeign, JobRecordMissing, as ``Tenancy.session``, each before
            the body; and whatever the body raises.
        """
        if self.is_async:
            return asyncio.run(self._run_alone(message))
        with self._bound(message) as job:
            if not self.platform:
                self.tenancy.router.route(job.tenant)
            return self._perform(job, message)

    async def run_async(self, message: Message) -> Any:
        """Awaits the body of a coroutine function for one message.

        Raises: as ``run``.
        """
        with self._bound(message) as job:
            if not self.platform:
                await self.tenancy.router.route_async(job.tenant)
            return await self._perform_async(job, message)

    async def _run_alone(self, message: Message) -> Any:
        try:
            return await self.run_async(message)
        finally:
            # This loop ends with the job, and its connections with it.
            await self.tenancy.aio.close()

    @contextlib.contextmanager
    def _bound(self, message: Message) -> Iterator[Job]:
        with bound(None):
            job = Job(self.name, self.admit(message.envelope).keyed(), self.tenancy)
            if not self.platform:
                refuse_foreign(self.name, job.tenant, message.args, message.kwargs)
            with bound(Bound(job.envelope.unkeyed(), job)):
                yield job

    def _perform(self, job: Job, message: Message) -> Any:
        named = self._named(message)
        if not self.transactional:
            if named:
                with job.session() as session:
                    find_records(session, named, job=job)
            return self.body(*message.args, **message.kwargs)
        with job.transaction() as session:
            find_records(session, named, job=job)
            effect = self._effect_of(message)
            if self.once is None:
                return effect(session)
            return self.once.run(session, str(job.envelope.key), effect, scope=self.name).value

    async def _perform_async(self, job: Job, message: Message) -> Any:
        named = self._named(message)
        if not self.transactional:
            if named:
                async with job.async_session() as session:
                    await session.run_sync(find_records, named, job=job)
            return await self.body(*message.args, **message.kwargs)
        async with job.async_transaction() as session:
            await session.run_sync(find_records, named, job=job)
            effect = self._effect_of(message)
            if self.once is None:
                return await effect(session)
            return (await self.once.aio.run(session, str(job.envelope.key), effect, scope=self.name)).value

    def _named(self, message: Message) -> dict[str, tuple[type, Any]]:
        """Returns by parameter the model and the id of each record that a message names."""
        if not self.records:
            return {}
        given = self.signature.bind(*message.args[self.head :], **message.kwargs).arguments
        return {name: (model, given[name]) for name, model in self.records.items() if given.get(name) is not None}

    def _effect_of(self, message: Message) -> Callable[[Any], Any]:
        """Returns the body as a function of the session alone."""
        head, rest = message.args[: self.head], message.args[self.head :]
        return lambda session: self.body(*head, session, *rest, **message.kwargs)
