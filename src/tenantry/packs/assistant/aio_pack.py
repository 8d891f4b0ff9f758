"""The awaited face of the assistant, for whoever serves requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy.orm import Session

from tenantry.access import Claims, TokenPair, act_as
from tenantry.access.core import looking
from tenantry.packs.assistant.pack import Assistant
from tenantry.packs.assistant.users import Person
from tenantry.session.aio import AsyncTenantSession, Face

R = TypeVar("R")


class AsyncAssistant(Face[Assistant]):
    """The awaited face of an ``Assistant``; reach it through ``assistant.aio``."""

    async def log_in(self, username: str, password: str) -> TokenPair:
        """Returns the tokens of a new log-in, and keeps when it was.

        Raises: as ``Access.log_in``.
        """
        pair = await self.behind.access.aio.log_in(username, password)
        await self.on_platform(lambda session: self.behind.users.note_login(session, username))
        return pair

    async def person(self, claims: Claims) -> Person:
        """Returns which user asks.

        Raises: AccountUnknown.
        """
        return await self.look(lambda session: self.behind.users.asking(session, claims))

    @contextlib.asynccontextmanager
    async def as_company(
        self,
        company_id: int,
        reason: str,
        *,
        actor: Claims,
        role: str = "viewer",
        lasts: timedelta = timedelta(minutes=15),
    ) -> AsyncIterator[AsyncTenantSession]:
        """Opens a session of a company for somebody of the platform.

        Raises: as ``Assistant.as_company``.
        """
        access, key = self.behind.access.aio, self.behind.companies.key(company_id)
        token = await access.impersonate(actor, key, reason=reason, role=role, lasts=lasts)
        guise = await access.verify(token)
        try:
            async with self.behind.tenancy.aio.session(key) as session:
                act_as(session, guise)
                yield session
        finally:
            await asyncio.shield(access.log_out(guise))

    async def look(self, work: Callable[[Session], R]) -> R:
        """Returns what *work* reads in the primary database; no writer waits for it.

        Raises: as ``Assistant.look``.
        """
        async with self.behind.tenancy.aio.platform() as session:
            return await session.run_sync(looking, work)

    async def on_platform(self, work: Callable[[Session], R]) -> R:
        """Returns what *work* gives in a transaction of the primary database.

        Raises: as ``Assistant.on_platform``.
        """
        async with self.behind.tenancy.aio.platform() as session:
            found = await session.run_sync(work)
            await session.commit()
        return found
