"""The asynchronous door of kill switches: the same methods, awaited."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tenantry.limits.kill_switches import KillSwitches
from tenantry.session.aio import AsyncTenantSession, Face, through
from tenantry.types import TenantKey


class AsyncKillSwitches(Face[KillSwitches]):
    """The awaited face of ``KillSwitches``; make it through ``switches.aio``."""

    @contextlib.asynccontextmanager
    async def session(
        self, key: TenantKey, *, workflow: str | None = None, **options: Any
    ) -> AsyncIterator[AsyncTenantSession]:
        """Opens a session each transaction of which is guarded as it begins.

        Raises: as ``KillSwitches.session``.
        """
        async with self.behind.tenancy.aio.session(key, **options) as session:
            self.behind.watch(session.sync_session, workflow)
            yield session

    @contextlib.asynccontextmanager
    async def transaction(
        self, key: TenantKey, *, workflow: str | None = None, **options: Any
    ) -> AsyncIterator[AsyncTenantSession]:
        """Opens such a session, commits on leaving, and rolls back on an error.

        Raises: as ``session``, and OutcomeUnknown.
        """
        async with self.session(key, workflow=workflow, **options) as session:
            yield session
            await session.commit()

    async def drain(self, key: TenantKey, *, workflow: str | None = None, seconds: float = 5.0) -> bool:
        """Waits as ``KillSwitches.drain`` does, without blocking the event loop."""
        async with self.behind.tenancy.aio.session(key) as session:
            return await self._drained(session, workflow, seconds)

    activate = through(KillSwitches.activate)
    active = through(KillSwitches.active)
    deactivate = through(KillSwitches.deactivate)
    guard = through(KillSwitches.guard)
    is_active = through(KillSwitches.is_active)
    _drained = through(KillSwitches._drained)
