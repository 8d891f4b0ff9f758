"""The awaited face of an audit."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Sequence
from typing import Any

from tenantry.audit.anchors import Anchor
from tenantry.audit.core import TWO_YEARS, Audit
from tenantry.audit.retaining import Purged
from tenantry.session.aio import AsyncTenantSession, Face, through
from tenantry.session.core import TenantSession
from tenantry.types import Finding, TenantKey


class AsyncAudit(Face[Audit]):
    """An audit for async sessions; make it through ``audit.aio``."""

    @contextlib.asynccontextmanager
    async def action(self, session: AsyncTenantSession, /, **event: Any) -> AsyncIterator[dict[str, Any]]:
        """Records what is done inside, as ``Audit.action`` does.

        Raises: as ``Audit.action``.
        """
        # Recording sends nothing: what is recorded is sealed at the commit.
        with self.behind.action(session.sync_session, **event) as details:
            yield details

    async def verify(self, where: AsyncTenantSession | TenantKey, /, *, at_most: int = 100) -> list[Finding]:
        """Returns what is wrong with a tenant's chain, as ``Audit.verify`` does.

        Raises: as ``Audit.verify``.
        """

        def verify(session: TenantSession) -> list[Finding]:
            return self.behind.verify(session, at_most=at_most)

        if isinstance(where, AsyncTenantSession):
            return await where.run_sync(verify)  # type: ignore[arg-type]  # it is a TenantSession
        level = await asyncio.to_thread(self.behind.snapshot_level, where)
        async with self.behind.tenancy.aio.session(where, read_only=True, isolation_level=level) as session:
            return await session.run_sync(verify)  # type: ignore[arg-type]  # as above

    async def anchor(self, key: TenantKey, /) -> Anchor | None:
        """Anchors the end of a tenant's chain now, in a thread.

        Raises: as ``Audit.anchor``.
        """
        return await asyncio.to_thread(self.behind.anchor, key)

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
        return await asyncio.to_thread(self.behind.purge, key, older_than=older_than, reason=reason)

    async def redact(self, key: TenantKey, seqs: Sequence[int], /, *, reason: str) -> int:
        """Takes the content out of entries, in a thread, and records that.

        Raises: as ``Audit.redact``.
        """
        return await asyncio.to_thread(self.behind.redact, key, seqs, reason=reason)

    record = through(Audit.record)
    entries = through(Audit.entries)
    log_event = through(Audit.log_event)
    get_tenant_logs = through(Audit.get_tenant_logs)
    get_recent_failures = through(Audit.get_recent_failures)
