"""Celery: the tenant travels in the message's headers, through retries, redelivery and canvases."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import wraps
from typing import Any

from tenantry.errors import ExtraMissing, JobHeadersRefused
from tenantry.idempotency import Idempotency
from tenantry.jobs.context import Bound, bound
from tenantry.jobs.core import Jobs
from tenantry.jobs.envelope import PREFIX, Envelope
from tenantry.jobs.records import refuse_foreign
from tenantry.jobs.work import LATER, LATER_TIMES, Message, Work, seconds_until
from tenantry.tenancy import Tenancy

try:
    import celery
    from celery import signals
except ImportError as error:
    raise ExtraMissing(module="tenantry.jobs.celery", extra="celery") from error

_BINDING = "_tenantry_binding"
# What waits for a chord's parts, where the result backend cannot count them, and sends its callback.
_CHORD_UNLOCK = "celery.chord_unlock"


class CeleryJobs(Jobs):
    """Declares tasks of a Celery app that run for the tenant their message names; made in senders and workers alike.

    Options of ``task`` and ``platform_task`` are those of ``app.task``. Tasks that are declared otherwise are nobody's.
    """

    def __init__(self, tenancy: Tenancy, app: celery.Celery, *, idempotency: Idempotency | None = None) -> None:
        super().__init__(tenancy, idempotency=idempotency)
        self.app = app
        # What a worker does around the body, such as sending the next link of a chain, is done for the same tenant.
        signals.task_prerun.connect(self._bind, weak=False)
        signals.task_postrun.connect(self._unbind, weak=False)
        signals.before_task_publish.connect(self._address, sender=_CHORD_UNLOCK, weak=False)

    def _head(self, options: Mapping[str, Any]) -> int:
        return int(bool(options.get("bind")))

    def _make(self, work: Work, options: dict[str, Any]) -> Any:
        base = options.pop("base", self.app.Task)
        kind = base if issubclass(base, TenantTask) else type("TenantTask", (TenantTask, base), {"abstract": True})
        known = {"name": work.name, "bind": True, "shared": False, "tenantry_jobs": self, "tenantry_work": work}
        return self.app.task(base=kind, **{**options, **known})(_runner(work))

    def _address(self, headers: dict[str, Any], **_: Any) -> None:
        for name, value in self.envelope().headers().items():
            headers.setdefault(name, value)

    def _bind(self, task: Any, **_: Any) -> None:
        # Once, however many were made for one app.
        if task.app is self.app and _BINDING not in vars(task.request):
            binding = bound(Bound(_sent(task)))
            binding.__enter__()
            vars(task.request)[_BINDING] = binding

    def _unbind(self, task: Any, **_: Any) -> None:
        binding = vars(task.request).pop(_BINDING, None)
        if binding is not None:
            binding.__exit__(None, None, None)


class TenantTask(celery.Task):  # type: ignore[misc]  # Celery ships no types
    """A Celery task whose messages carry their tenant; made by ``CeleryJobs.task``."""

    abstract = True
    tenantry_jobs: CeleryJobs
    tenantry_work: Work

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Sends a message for the tenant that is bound here.

        Raises: JobTenantMissing, JobTenantsDisagree, JobForeign, and as Celery's.
        """
        return super().apply_async(args, kwargs, **self._addressed(options, args, kwargs))

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Runs a message here and now, as a worker would.

        Raises: as ``apply_async``.
        """
        return super().apply(args, kwargs, **self._addressed(options, args, kwargs))

    def signature(self, args: Any = None, *rest: Any, **options: Any) -> Any:
        """Returns a signature that remembers the tenant bound here, if one is."""
        made = super().signature(args, *rest, **options)
        envelope = self.tenantry_jobs.envelope()
        if envelope.tenant is not None and not self.tenantry_work.platform:
            made.set(headers={**(made.options.get("headers") or {}), **envelope.headers()})
        return made

    def _addressed(self, options: dict[str, Any], *given: Any) -> dict[str, Any]:
        headers = options.get("headers") or {}
        envelope = self.tenantry_jobs.outgoing(self.tenantry_work, headers).keyed()
        if envelope.tenant is not None:
            refuse_foreign(self.name, envelope.tenant, *given)
        foreign = {name: value for name, value in headers.items() if not name.startswith(PREFIX)}
        return {**options, "headers": {**foreign, **envelope.headers()}}


def _runner(work: Work) -> Any:
    """Returns the function that Celery calls in the place of the body."""

    @wraps(work.body)
    def run(task: Any, /, *args: Any, **kwargs: Any) -> Any:
        given = (task, *args) if work.head else args
        if task.request.called_directly:
            return work.run(Message(task.tenantry_jobs.outgoing(work), given, kwargs))
        try:
            return work.run(Message(Envelope.read(task.request.headers, task=work.name), given, kwargs))
        except LATER as error:
            tries = max(task.max_retries or 0, LATER_TIMES)
            raise task.retry(exc=error, countdown=seconds_until(error), max_retries=tries) from error

    own = inspect.Parameter("task", inspect.Parameter.POSITIONAL_ONLY)
    run.__signature__ = work.signature.replace(parameters=[own, *work.signature.parameters.values()])  # type: ignore[attr-defined]  # what Celery checks calls by
    del run.__wrapped__  # or Celery would look at the body's own
    return run


def _sent(task: Any) -> Envelope:
    """Returns what is bound around a task's body: nothing, where the body is not going to run."""
    try:
        return Envelope.read(task.request.headers, task=task.name).unkeyed()
    except JobHeadersRefused:
        return Envelope()
