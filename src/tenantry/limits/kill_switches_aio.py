"""The asynchronous door of kill switches: the same methods, awaited."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.errors import ExtraMissing
from tenantry.limits.kill_switches import KillSwitches
from tenantry.session.core import TenantSession
from tenantry.types import TenantKey

try:
    from tenantry.session.aio import AsyncTenantSession, awaited
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

P = ParamSpec("P")
R = TypeVar("R")


def _awaited(
    method: Callable[Concatenate[KillSwitches, TenantSession, P], R],
) -> Callable[Concatenate[AsyncKillSwitches, AsyncTenantSession, P], Coroutine[Any, Any, R]]:
    """Returns *method* with the same parameters for an async session."""
    run = awaited(method)

    @functools.wraps(method)
    async def through(self: AsyncKillSwitches, session: AsyncTenantSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run(self.switches, session, *args, **kwargs)

    return through


class AsyncKillSwitches:
    """The awaited face of ``KillSwitches``; make it through ``switches.aio``."""

    def __init__(self, switches: KillSwitches) -> None:
        self.switches = switches

    def __repr__(self) -> str:
        return f"{self.switches!r}.aio"

    @contextlib.asynccontextmanager
    async def session(
        self, key: TenantKey, *, workflow: str | None = None, **options: Any
    ) -> AsyncIterator[AsyncTenantSession]:
        """Opens a session each transaction of which is guarded as it begins.

        Raises: as ``KillSwitches.session``.
        """
        async with self.switches.tenancy.aio.session(key, **options) as session:
            self.switches.watch(session.sync_session, workflow)
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
        async with self.switches.tenancy.aio.session(key) as session:
            return await self._drained(session, workflow, seconds)

    activate = _awaited(KillSwitches.activate)
    active = _awaited(KillSwitches.active)
    deactivate = _awaited(KillSwitches.deactivate)
    guard = _awaited(KillSwitches.guard)
    is_active = _awaited(KillSwitches.is_active)
    _drained = _awaited(KillSwitches._drained)
