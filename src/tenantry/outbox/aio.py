"""The asynchronous door of the outbox: the same methods, awaited; a relay runs in a thread beside the loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.errors import ExtraMissing
from tenantry.outbox.core import Outbox
from tenantry.session.core import TenantSession

try:
    from tenantry.session.aio import AsyncTenantSession, awaited
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

P = ParamSpec("P")
R = TypeVar("R")


def _awaited(
    method: Callable[Concatenate[Outbox, TenantSession, P], R],
) -> Callable[Concatenate[AsyncOutbox, AsyncTenantSession, P], Coroutine[Any, Any, R]]:
    """Returns *method* with the same parameters for an async session."""
    run = awaited(method)

    @functools.wraps(method)
    async def through(self: AsyncOutbox, session: AsyncTenantSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run(self.outbox, session, *args, **kwargs)

    return through


class AsyncOutbox:
    """The awaited face of an ``Outbox``; reach it through ``outbox.aio``."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def __repr__(self) -> str:
        return f"{self.outbox!r}.aio"

    add = _awaited(Outbox.add)
    discard = _awaited(Outbox.discard)
    parked = _awaited(Outbox.parked)
    pending = _awaited(Outbox.pending)
    purge = _awaited(Outbox.purge)
    retry = _awaited(Outbox.retry)
