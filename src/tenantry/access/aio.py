"""The asynchronous door of access: the same methods, awaited; passwords are hashed in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

from sqlalchemy.orm import Session

from tenantry.access.accounts import Account
from tenantry.access.actors import Claims
from tenantry.access.core import Access, looking, settled
from tenantry.access.desk import ELSEWHERE, TokenPair
from tenantry.errors import ImpersonationRefused
from tenantry.session.aio import Face
from tenantry.session.core import TenantSession
from tenantry.types import TenantKey

R = TypeVar("R")


class AsyncAccess(Face[Access]):
    """The awaited face of an ``Access``; reach it through ``access.aio``."""

    async def log_in(self, name: str, password: str) -> TokenPair:
        """Returns the first pair of tokens of a new log-in.

        Raises: as ``Access.log_in``.
        """
        desk = self.behind.desk
        found = cast("Account | None", await self._do(lambda session: desk.arrive(session, name)))
        account = await asyncio.to_thread(desk.check_password, found, password)
        renewed = await asyncio.to_thread(desk.renewed, account, password)
        return await self._do(lambda session: desk.begin(session, account, renewed))

    async def change_password(self, name: str, old: str, new: str) -> None:
        """Gives an account the password that its owner chose, and ends each of its log-ins.

        Raises: as ``Access.change_password``.
        """
        desk = self.behind.desk
        found = cast("Account | None", await self._do(lambda session: desk.arrive(session, name)))
        account = await asyncio.to_thread(desk.check_password, found, old)
        chosen = await asyncio.to_thread(desk.chosen, old, new)
        await self._do(lambda session: desk.keep_chosen(session, account, chosen))

    async def refresh(self, token: str) -> TokenPair:
        """Returns the next pair.

        Raises: as ``Access.refresh``.
        """
        return cast("TokenPair", await self._do(lambda session: self.behind.desk.refresh(session, token)))

    async def verify(self, token: str) -> Claims:
        """Returns who asks and what they may now.

        Raises: as ``Access.verify``.
        """
        claims = self.behind.tokens.verify(token)
        return await self._look(lambda session: self.behind.desk.current(session, claims))

    async def log_out(self, claims: Claims) -> bool:
        """Ends the log-in that the claims belong to, and says whether it had not ended."""
        return await self._do(lambda session: self.behind.ended(session, claims))

    async def log_out_everywhere(self, subject: str) -> int:
        """Ends every log-in of a subject, and returns how many."""
        logins = self.behind.desk.logins
        return await self._do(lambda session: logins.end(session, logins.whose(subject)))

    async def impersonate(
        self,
        claims: Claims,
        tenant: TenantKey,
        *,
        reason: str,
        subject: str | None = None,
        role: str = "viewer",
        lasts: timedelta = timedelta(minutes=15),
    ) -> str:
        """Returns a token with which the holder of the claims acts in a tenant.

        Raises: as ``Access.impersonate``.
        """
        access, desk = self.behind, self.behind.desk
        plan = access.planned(reason, lasts)
        own = (await self._look(lambda platform: desk.actor(platform, claims))).tenant
        if own is not None and not await access.tenancy.router.finds_async(tenant, own):
            raise ImpersonationRefused(reason=ELSEWHERE)
        async with access.tenancy.aio.session(tenant) as session:
            home = session.tenant.id
            guise = await self._look(
                lambda platform: desk.guise(platform, claims, tenant=home, subject=subject, role=role, plan=plan)
            )
            await session.run_sync(lambda inner: access.record(cast("TenantSession", inner), claims, guise))
            await session.commit()
        return await self._do(lambda platform: desk.put_on(platform, claims, guise))

    async def purge(self) -> int:
        """Deletes the log-ins whose time is over, and returns how many there were."""
        return await self._do(self.behind.desk.purge)

    async def _do(self, work: Callable[[Session], R]) -> R:
        async with self.behind.tenancy.aio.platform() as session:
            found = await session.run_sync(work)
            await session.commit()
        return settled(found)

    async def _look(self, work: Callable[[Session], R]) -> R:
        async with self.behind.tenancy.aio.platform() as session:
            return await session.run_sync(looking, work)
