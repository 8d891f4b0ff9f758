"""Procrastinate: the tenant travels among a job's arguments, under a name that no caller can give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from tenantry.errors import ConfigurationError, ExtraMissing
from tenantry.idempotency import Idempotency
from tenantry.jobs.core import Jobs
from tenantry.jobs.envelope import Envelope
from tenantry.jobs.records import refuse_foreign
from tenantry.jobs.work import LATER, LATER_TIMES, Message, Work, seconds_until
from tenantry.tenancy import Tenancy

try:
    import procrastinate
    from procrastinate.jobs import Job as EngineJob
    from procrastinate.retry import BaseRetryStrategy, RetryDecision, RetryValue, get_retry_strategy
    from procrastinate.tasks import Task
except ImportError as error:
    raise ExtraMissing(module="tenantry.jobs.procrastinate", extra="jobs") from error

RESERVED: Final = "_tenantry"


class ProcrastinateJobs(Jobs):
    """Declares tasks of a procrastinate app that run for the tenant their job names; made in senders and workers alike.

    Options of ``task`` and ``platform_task`` are those of ``app.task``. Tasks that are declared otherwise are nobody's.
    """

    def __init__(self, tenancy: Tenancy, app: procrastinate.App, *, idempotency: Idempotency | None = None) -> None:
        super().__init__(tenancy, idempotency=idempotency)
        self.app = app

    def _head(self, options: Mapping[str, Any]) -> int:
        return int(bool(options.get("pass_context")))

    def _make(self, work: Work, options: dict[str, Any]) -> ProcrastinateTask:
        known = {**options, "name": work.name, "retry": _Later(options.get("retry", False))}
        return ProcrastinateTask(self, work, self.app.task(**known)(_runner(work)))


class ProcrastinateTask:
    """A task whose jobs carry their tenant; ``task`` is procrastinate's own, for ``app.periodic`` and the like."""

    def __init__(self, jobs: ProcrastinateJobs, work: Work, task: Task[Any, Any, Any]) -> None:
        self._jobs = jobs
        self._work = work
        self.task = task

    def __repr__(self) -> str:
        return f"<ProcrastinateTask {self._work.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the body here and now for the tenant that is bound here; awaits it where it is a coroutine function.

        Raises: as ``Work.run``.
        """
        message = Message(self._jobs.outgoing(self._work), args, kwargs)
        return self._work.run_async(message) if self._work.is_async else self._work.run(message)

    def configure(self, **options: Any) -> Deferrer:
        """Returns what defers jobs with options: lock, queueing_lock, schedule_at, schedule_in, queue, priority."""
        return Deferrer(self._jobs, self._work, self.task, options)

    def defer(self, **given: Any) -> int:
        """Defers a job for the tenant that is bound here.

        Raises: as ``Deferrer.defer``.
        """
        return self.configure().defer(**given)

    async def defer_async(self, **given: Any) -> int:
        """Defers a job for the tenant that is bound here.

        Raises: as ``Deferrer.defer``.
        """
        return await self.configure().defer_async(**given)


class Deferrer:
    """Defers jobs of one task with options."""

    def __init__(
        self, jobs: ProcrastinateJobs, work: Work, task: Task[Any, Any, Any], options: Mapping[str, Any]
    ) -> None:
        self._jobs = jobs
        self._work = work
        self._task = task
        self._options = {name: value for name, value in options.items() if name != "task_kwargs"}
        self._given = options.get("task_kwargs") or {}

    def defer(self, **given: Any) -> int:
        """Defers a job for the tenant that is bound here.

        Raises: JobTenantMissing, JobTenantsDisagree, JobForeign, and as procrastinate's.
        """
        return self._task.configure(**self._options).defer(**self._addressed(given))

    async def defer_async(self, **given: Any) -> int:
        """Defers a job for the tenant that is bound here.

        Raises: as ``defer``.
        """
        return await self._task.configure(**self._options).defer_async(**self._addressed(given))

    def batch_defer(self, *given: Mapping[str, Any]) -> list[int]:
        """Defers several jobs for the tenant that is bound here.

        Raises: as ``defer``.
        """
        return self._task.configure(**self._options).batch_defer(*map(self._addressed, given))

    async def batch_defer_async(self, *given: Mapping[str, Any]) -> list[int]:
        """Defers several jobs for the tenant that is bound here.

        Raises: as ``defer``.
        """
        return await self._task.configure(**self._options).batch_defer_async(*map(self._addressed, given))

    def _addressed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        args = {**self._given, **given}
        if RESERVED in args:
            raise ConfigurationError(
                what=f"{RESERVED}= is where a job's tenant travels, and was given as an argument.",
                fix="Leave it out, and send the job inside `with jobs.sending(key_or_session):`.",
            )
        envelope = self._jobs.outgoing(self._work).keyed()
        if envelope.tenant is not None:
            refuse_foreign(self._work.name, envelope.tenant, args)
        return {**args, RESERVED: envelope.headers()}


class _Later(BaseRetryStrategy):
    """Tries again what can soon be done, and leaves everything else to the task's own strategy."""

    def __init__(self, otherwise: RetryValue) -> None:
        self._otherwise = get_retry_strategy(otherwise)

    def get_retry_decision(self, *, exception: BaseException, job: EngineJob) -> RetryDecision | None:
        if isinstance(exception, LATER) and job.attempts < LATER_TIMES:
            return RetryDecision(retry_in={"seconds": int(max(1, seconds_until(exception)))})
        if self._otherwise is None:
            return None
        return self._otherwise.get_retry_decision(exception=exception, job=job)


def _runner(work: Work) -> Callable[..., Any]:
    """Returns the function that a worker calls in the place of the body."""
    if work.is_async:

        @wraps(work.body)
        async def run_async(*args: Any, **given: Any) -> Any:
            return await work.run_async(_taken(work, args, given))

        return run_async

    @wraps(work.body)
    def run(*args: Any, **given: Any) -> Any:
        return work.run(_taken(work, args, given))

    return run


def _taken(work: Work, args: tuple[Any, ...], given: dict[str, Any]) -> Message:
    """Takes the headers out of what a job was given."""
    headers = given.pop(RESERVED, None)
    return Message(Envelope.read(headers, task=work.name), args, given)
