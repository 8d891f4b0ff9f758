"""The asynchronous door of usage: the same methods, awaited."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.errors import ExtraMissing
from tenantry.session.core import TenantSession
from tenantry.usage.core import Usage

try:
    from tenantry.session.aio import AsyncTenantSession, awaited
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

P = ParamSpec("P")
R = TypeVar("R")


def _awaited(
    method: Callable[Concatenate[Usage, TenantSession, P], R],
) -> Callable[Concatenate[AsyncUsage, AsyncTenantSession, P], Coroutine[Any, Any, R]]:
    """Returns *method* with the same parameters for an async session."""
    run = awaited(method)

    @functools.wraps(method)
    async def through(self: AsyncUsage, session: AsyncTenantSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await run(self.usage, session, *args, **kwargs)

    return through


class AsyncUsage:
    """The awaited face of a ``Usage``; make it through ``usage.aio``."""

    def __init__(self, usage: Usage) -> None:
        self.usage = usage

    def __repr__(self) -> str:
        return f"{self.usage!r}.aio"

    budgets = _awaited(Usage.budgets)
    cancel = _awaited(Usage.cancel)
    drop_budget = _awaited(Usage.drop_budget)
    record = _awaited(Usage.record)
    recount = _awaited(Usage.recount)
    release_expired = _awaited(Usage.release_expired)
    reserve = _awaited(Usage.reserve)
    set_budget = _awaited(Usage.set_budget)
    settle = _awaited(Usage.settle)
    total = _awaited(Usage.total)
    totals = _awaited(Usage.totals)
