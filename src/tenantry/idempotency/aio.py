"""The async door of idempotency: the same calls on async sessions."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tenantry.idempotency.core import Answer, Call, Idempotency
from tenantry.session.aio import AsyncTenantSession, Face, through


class AsyncIdempotency(Face[Idempotency]):
    """The awaited face of an ``Idempotency``; reach it through ``idempotency.aio``."""

    create_idempotent = through(Idempotency.create_idempotent)
    find = through(Idempotency.find)
    forget = through(Idempotency.forget)
    purge = through(Idempotency.purge)
    _begin = through(Idempotency.begin)

    @contextlib.asynccontextmanager
    async def once(
        self, session: AsyncTenantSession, key: str, *, payload: Any = None, scope: str = "", wait: float = 0.0
    ) -> AsyncIterator[Call]:
        """Yields the call, as ``Idempotency.once`` does.

        Raises: as ``Idempotency.once``.
        """
        call = await self._begin(session, key, payload=payload, scope=scope, wait=wait)
        try:
            yield call
            await session.run_sync(lambda inner: call.end(self.behind.keys, inner))  # type: ignore[arg-type]  # it is a TenantSession
        except BaseException:
            await session.run_sync(lambda _: call.abandon())
            raise

    async def run(
        self,
        session: AsyncTenantSession,
        key: str,
        effect: Callable[[AsyncTenantSession], Awaitable[Any]],
        *,
        payload: Any = None,
        scope: str = "",
        wait: float = 0.0,
    ) -> Answer:
        """Returns what awaiting ``effect(session)`` gives, or what it gave when called with this key before.

        Raises: as ``once``, and whatever *effect* raises.
        """
        async with self.once(session, key, payload=payload, scope=scope, wait=wait) as call:
            if call.first:
                call.answer = await effect(session)
        return Answer(call.answer, replayed=not call.first)
