"""The async door of idempotency: the same calls on async sessions."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.errors import ExtraMissing
from tenantry.idempotency.core import Answer, Call, Idempotency
from tenantry.session.core import TenantSession

try:
    from tenantry.session.aio import AsyncTenantSession, awaited
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

P = ParamSpec("P")
R = TypeVar("R")


def _awaited(
    method: Callable[Concatenate[Idempotency, TenantSession, P], R],
) -> Callable[Concatenate[AsyncIdempotency, AsyncTenantSession, P], Coroutine[Any, Any, R]]:
    """Returns *method* with the same parameters for an async session."""
    run = awaited(method)

    @functools.wraps(method)
    async def through(self: AsyncIdempotency, session: AsyncTenantSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run(self.idempotency, session, *args, **kwargs)

    return through


class AsyncIdempotency:
    """The awaited face of an ``Idempotency``; reach it through ``idempotency.aio``."""

    def __init__(self, idempotency: Idempotency) -> None:
        self.idempotency = idempotency

    def __repr__(self) -> str:
        return f"{self.idempotency!r}.aio"

    create_idempotent = _awaited(Idempotency.create_idempotent)
    find = _awaited(Idempotency.find)
    forget = _awaited(Idempotency.forget)
    purge = _awaited(Idempotency.purge)
    _begin = _awaited(Idempotency.begin)

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
            await session.run_sync(lambda inner: call.end(self.idempotency.keys, inner))  # type: ignore[arg-type]  # it is a TenantSession
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
