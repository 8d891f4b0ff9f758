"""The awaited face of quotas."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

from tenantry.limits.quotas import QuotaUsage, Recount
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.limits.quotas import Quotas

R = TypeVar("R")


class AsyncQuotas:
    """The awaited face of ``Quotas``; make it through ``quotas.aio``."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    def __repr__(self) -> str:
        return f"{self._quotas!r}.aio"

    async def set(self, whose: TenantKey | AsyncTenantSession, name: str, limit: int | None) -> None:
        """Gives a tenant a limit of its own; None takes it away.

        Raises: as ``Quotas.set``.
        """
        await self._run(whose, lambda session: self._quotas.set(session, name, limit))

    async def usage(self, whose: TenantKey | AsyncTenantSession) -> list[QuotaUsage]:
        """Returns how far each quota is used, as of the last commit."""
        return await self._run(whose, self._quotas.usage)

    async def check(self, session: AsyncTenantSession) -> None:
        """Holds what the transaction has written so far against the limits.

        Raises: QuotaExceeded.
        """
        await self._run(session, self._quotas.check)

    async def recount(self, whose: TenantKey | AsyncTenantSession) -> list[Recount]:
        """Counts what is there, and returns the counters that said something else."""
        return await self._run(whose, self._quotas.recount)

    async def _run(self, whose: TenantKey | AsyncTenantSession, work: Callable[[TenantSession], R]) -> R:
        async with self._within(whose) as session:
            return await session.run_sync(work)  # type: ignore[arg-type]  # the session inside is a TenantSession

    @contextlib.asynccontextmanager
    async def _within(self, whose: TenantKey | AsyncTenantSession) -> AsyncIterator[AsyncTenantSession]:
        if isinstance(whose, AsyncTenantSession):
            yield whose
            return
        async with self._quotas.tenancy.aio.transaction(whose) as session:
            yield session
