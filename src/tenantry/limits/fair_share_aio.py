"""The asynchronous door of fair share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tenantry.limits.fair_share import FairShare
from tenantry.limits.metering import TransactionBudget
from tenantry.session.aio import AsyncTenantSession
from tenantry.types import TenantKey


class AsyncFairShare:
    """The awaited face of ``FairShare``; make it through ``share.aio``."""

    def __init__(self, share: FairShare) -> None:
        self._share = share

    def __repr__(self) -> str:
        return f"{self._share!r}.aio"

    @contextlib.asynccontextmanager
    async def session(
        self, key: TenantKey, *, budget: TransactionBudget | None = None, **options: Any
    ) -> AsyncIterator[AsyncTenantSession]:
        """Opens a session in the tenant's share, without blocking the event loop while it waits.

        Raises: as ``FairShare.session``.
        """
        share = self._share
        async with share.tenancy.aio.session(key, **options) as session:
            if not await share.slots.take_async(session.tenant.id, seconds=share.wait):
                raise share.busy()
            try:
                with share.kept(session.sync_session, budget):
                    yield session
            finally:
                try:
                    await session.close()
                finally:
                    share.slots.leave(session.tenant.id)

    @contextlib.asynccontextmanager
    async def transaction(
        self, key: TenantKey, *, budget: TransactionBudget | None = None, **options: Any
    ) -> AsyncIterator[AsyncTenantSession]:
        """Opens such a session, commits on leaving, and rolls back on an error.

        Raises: as ``session``, and OutcomeUnknown.
        """
        async with self.session(key, budget=budget, **options) as session:
            yield session
            await session.commit()
