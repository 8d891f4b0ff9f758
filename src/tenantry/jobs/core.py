"""Tasks that run for a tenant: declared here, sent inside ``sending``, run with what their message says."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tenantry.errors import ConfigurationError, JobTenantsDisagree
from tenantry.idempotency import Idempotency
from tenantry.ids import uuid7
from tenantry.jobs.context import Bound, bound, bound_here
from tenantry.jobs.envelope import FACTS, Envelope
from tenantry.jobs.plain import PlainTask
from tenantry.jobs.work import Work
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import Outcomes, Tenant, TenantKey

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession


class Jobs:
    """Has plain functions run for tenants, here, in threads and in executors; engines' own kinds go through a broker.

    *idempotency* is for tasks that are declared with ``once=True``.
    """

    def __init__(self, tenancy: Tenancy, *, idempotency: Idempotency | None = None) -> None:
        self.tenancy = tenancy
        self._idempotency = idempotency

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.tenancy!r})"

    def task(
        self,
        function: Callable[..., Any] | None = None,
        *,
        transactional: bool = False,
        once: bool = False,
        records: Mapping[str, type] | None = None,
        **options: Any,
    ) -> Any:
        """Declares a tenant's job; its body opens ``job_session()``, or is given a session where *transactional*.

        Args:
            transactional: the body's first parameter is a session whose changes are committed when it returns.
            once: transactional, and a message that is delivered again changes nothing and gives the first answer.
            records: the models of parameters that are ids; a row that the tenant does not have is refused.
            options: the engine's own.

        Raises: ConfigurationError.
        """
        if once and self._idempotency is None:
            raise ConfigurationError(
                what="once=True keeps the keys of messages, and these jobs have nowhere to.",
                fix="Make them with idempotency=Idempotency(tenancy).",
            )
        keys = self._idempotency if once else None
        declared = {"transactional": transactional or once, "once": keys, "records": records or {}}
        return self._declare(function, declared, options)

    def platform_task(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Declares a job about the platform, which runs without a tenant and may send jobs for any.

        Raises: ConfigurationError.
        """
        return self._declare(function, {"platform": True}, options)

    def sending(
        self,
        subject: TenantKey | TenantSession | AsyncTenantSession,
        *,
        actor: object = None,
        impersonator: object = None,
        correlation_id: object = None,
        key: str | None = None,
    ) -> Sending:
        """Says for whom jobs are that are sent inside a ``with`` or ``async with`` block: a tenant, or a session's.

        What the session knows of its caller travels along. *key* makes messages of one task the same message, for
        ``once``.

        Raises: on entering, JobTenantsDisagree inside what works for another tenant, ConfigurationError for facts that
            no header can carry, and as ``Tenancy.session`` for a key that is to be looked up.
        """
        facts = {"actor": actor, "impersonator": impersonator, "correlation_id": correlation_id, "key": key}
        return Sending(self.tenancy, subject, facts)

    def headers(self, subject: TenantKey | TenantSession | AsyncTenantSession, **facts: Any) -> dict[str, str]:
        """Returns the headers of a message that something else sends, such as a schedule.

        Raises: as ``sending``.
        """
        with self.sending(subject, **facts):
            return self.envelope().headers()

    def each(
        self,
        send: Callable[..., Any],
        *args: Any,
        where: Callable[[Tenant], bool] | None = None,
        **kwargs: Any,
    ) -> Outcomes:
        """Calls *send* once for every active tenant, inside ``sending`` of it; one's error does not stop the others.

        Raises: JobTenantsDisagree inside what works for a tenant, LoginRequired without a login that lists tenants.
        """
        refuse_other(None)
        done: dict[uuid.UUID, Any] = {}
        failed: dict[uuid.UUID, BaseException] = {}
        for tenant in self.tenancy.every_tenant():
            if where is None or where(tenant):
                try:
                    with self.sending(tenant):
                        done[tenant.id] = send(*args, **kwargs)
                except Exception as error:  # whatever one tenant's message raises is that tenant's outcome
                    failed[tenant.id] = error
        return Outcomes(done, failed, {})

    def envelope(self) -> Envelope:
        """Returns what a message that is sent from here says."""
        here = bound_here()
        return Envelope() if here is None else here.envelope

    def outgoing(self, work: Work, headers: Mapping[str, Any] | None = None) -> Envelope:
        """Returns what a new message of a task says: what *headers* say already, or what is bound here.

        Raises: JobTenantMissing, JobTenantsDisagree, JobHeadersRefused.
        """
        said = Envelope.read(headers, task=work.name)
        if said.tenant is None:
            said = self.envelope()
            return work.admit(dataclasses.replace(said, tenant=None) if work.platform else said)
        refuse_other(said.tenant)
        return work.admit(said)

    def _declare(
        self, function: Callable[..., Any] | None, declared: Mapping[str, Any], options: dict[str, Any]
    ) -> Any:
        def declare(body: Callable[..., Any]) -> Any:
            name = options.get("name") or f"{body.__module__}.{body.__qualname__}"
            return self._make(Work(self.tenancy, name, body, head=self._head(options), **declared), options)

        return declare if function is None else declare(function)

    def _head(self, options: Mapping[str, Any]) -> int:
        """Returns how many parameters the engine fills."""
        return 0

    def _make(self, work: Work, options: dict[str, Any]) -> Any:
        """Returns the engine's task."""
        unknown = sorted(set(options) - {"name"})
        if unknown:
            raise ConfigurationError(
                what=f"Plain jobs have no options {', '.join(unknown)}.",
                fix="Leave them out, or use an engine's jobs: tenantry.jobs.celery, tenantry.jobs.procrastinate.",
            )
        return PlainTask(self, work)


class Sending(contextlib.AbstractContextManager[None], contextlib.AbstractAsyncContextManager[None]):
    """A block in which jobs are sent for one tenant; made by ``Jobs.sending``."""

    def __init__(self, tenancy: Tenancy, subject: Any, facts: Mapping[str, Any]) -> None:
        self._tenancy = tenancy
        self._subject = getattr(subject, "sync_session", subject)
        self._facts = facts
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> None:
        known = self._known()
        self._bind(known or self._tenancy.router.route(self._subject).tenant.id)

    def __exit__(self, *raised: object) -> None:
        self._ends.close()

    async def __aenter__(self) -> None:
        known = self._known()
        self._bind(known or (await self._tenancy.router.route_async(self._subject)).tenant.id)

    async def __aexit__(self, *raised: object) -> None:
        self._ends.close()

    def _known(self) -> uuid.UUID | None:
        if isinstance(self._subject, TenantSession):
            return self._subject.tenant.id
        if isinstance(self._subject, Tenant):
            return self._subject.id
        return self._subject if isinstance(self._subject, uuid.UUID) else None

    def _bind(self, tenant: uuid.UUID) -> None:
        refuse_other(tenant)
        here = bound_here()
        before = Envelope() if here is None else here.envelope.unkeyed()
        known = self._subject.info if isinstance(self._subject, TenantSession) else {}
        envelope = before.told({name: known.get(name) for name in FACTS}).told(self._facts)
        if envelope.correlation_id is None:
            envelope = dataclasses.replace(envelope, correlation_id=str(uuid7()))
        job = None if here is None else here.job
        self._ends.enter_context(bound(Bound(dataclasses.replace(envelope, tenant=tenant), job)))


def refuse_other(tenant: uuid.UUID | None) -> None:
    """Lets a tenant pass where none, or the same, is bound.

    Raises: JobTenantsDisagree.
    """
    here = bound_here()
    if here is not None and here.envelope.tenant not in (None, tenant):
        raise JobTenantsDisagree(tenant=here.envelope.tenant)
