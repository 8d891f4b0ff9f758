"""The awaited face of an audit."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.audit.anchors import Anchor
from tenantry.audit.core import TWO_YEARS, Audit
from tenantry.audit.retaining import Purged
from tenantry.errors import ExtraMissing
from tenantry.session.core import TenantSession
from tenantry.types import Finding, TenantKey

try:
    from tenantry.session.aio import AsyncTenantSession, awaited
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

P = ParamSpec("P")
R = TypeVar("R")


def _awaited(
    method: Callable[Concatenate[Audit, TenantSession, P], R],
) -> Callable[Concatenate[AsyncAudit, AsyncTenantSession, P], Coroutine[Any, Any, R]]:
    """Returns *method* with the same parameters for an async session."""
    run = awaited(method)

    @functools.wraps(method)
    async def through(self: AsyncAudit, session: AsyncTenantSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run(self.audit, session, *args, **kwargs)

    return through


class AsyncAudit:
    """An audit for async sessions; make it through ``audit.aio``."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit

    def __repr__(self) -> str:
        return f"{self.audit!r}.aio"

    @contextlib.asynccontextmanager
    async def action(self, session: AsyncTenantSession, /, **event: Any) -> AsyncIterator[dict[str, Any]]:
        """Records what is done inside, as ``Audit.action`` does.

        Raises: as ``Audit.action``.
        """
        # Recording sends nothing: what is recorded is sealed at the commit.
        with self.audit.action(session.sync_session, **event) as details:
            yield details

    async def verify(self, where: AsyncTenantSession | TenantKey, /, *, at_most: int = 100) -> list[Finding]:
        """Returns what is wrong with a tenant's chain, as ``Audit.verify`` does.

        Raises: as ``Audit.verify``.
        """

        def verify(session: TenantSession) -> list[Finding]:
            return self.audit.verify(session, at_most=at_most)

        if isinstance(where, AsyncTenantSession):
            return await where.run_sync(verify)  # type: ignore[arg-type]  # it is a TenantSession
        level = await asyncio.to_thread(self.audit.snapshot_level, where)
        async with self.audit.tenancy.aio.session(where, read_only=True, isolation_level=level) as session:
            return await session.run_sync(verify)  # type: ignore[arg-type]  # as above

    async def anchor(self, key: TenantKey, /) -> Anchor | None:
        """Anchors the end of a tenant's chain now, in a thread.

        Raises: as ``Audit.anchor``.
        """
        return await asyncio.to_thread(self.audit.anchor, key)

    async def purge(
        self,
        key: TenantKey,
        /,
        *,
        older_than: datetime.datetime | datetime.timedelta = TWO_YEARS,
        reason: str = "retention",
    ) -> Purged:
        """Deletes a tenant's entries that are older, in a thread, and records that.

        Raises: as ``Audit.purge``.
        """
        return await asyncio.to_thread(self.audit.purge, key, older_than=older_than, reason=reason)

    async def redact(self, key: TenantKey, seqs: Sequence[int], /, *, reason: str) -> int:
        """Takes the content out of entries, in a thread, and records that.

        Raises: as ``Audit.redact``.
        """
        return await asyncio.to_thread(self.audit.redact, key, seqs, reason=reason)

    record = _awaited(Audit.record)
    entries = _awaited(Audit.entries)
    log_event = _awaited(Audit.log_event)
    get_tenant_logs = _awaited(Audit.get_tenant_logs)
    get_recent_failures = _awaited(Audit.get_recent_failures)
