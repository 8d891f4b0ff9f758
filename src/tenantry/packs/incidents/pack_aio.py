"""The asynchronous door of incidents: the same units of work, awaited."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tenantry.packs.incidents.flow import Flow
from tenantry.packs.incidents.models import Action
from tenantry.packs.incidents.pack import Calls, Incidents, described
from tenantry.session.core import TenantSession
from tenantry.types import TenantKey

P = ParamSpec("P")
R = TypeVar("R")


def in_one_commit(
    method: Callable[Concatenate[Flow, TenantSession, P], R],
) -> Callable[Concatenate[AsyncIncidents, TenantKey, P], Coroutine[Any, Any, R]]:
    """Returns a step of the flow as a unit of work of its own, awaited, for a tenant's key."""

    @functools.wraps(method)
    async def run(self: AsyncIncidents, key: TenantKey, /, *args: P.args, **kwargs: P.kwargs) -> R:
        async with self.behind.tenancy.aio.transaction(key) as session:
            return await session.run_sync(lambda inner: method(self.behind.flow, inner, *args, **kwargs))  # type: ignore[arg-type]  # it is a TenantSession

    return run


class AsyncIncidents:
    """The awaited face of ``Incidents``; make it through ``incidents.aio``."""

    def __init__(self, behind: Incidents) -> None:
        self.behind = behind

    def __repr__(self) -> str:
        return f"{self.behind!r}.aio"

    async def perform(self, key: TenantKey, action_id: uuid.UUID, call: Calls, *, vendor: str) -> Action:
        """Starts an action, awaits its *call* of a vendor while no session is open, and ends it by what comes of that.

        Raises: as ``Incidents.perform``.
        """
        action = await self.start(key, action_id)
        try:
            async with self.behind.vendors.aio.call(key, vendor):
                result = await call(action)
        except Exception as error:
            await self.fail(key, action_id, error=described(error))
            raise
        return await self.succeed(key, action_id, result=result)

    analyse = in_one_commit(Flow.analyse)
    decide = in_one_commit(Flow.decide)
    fail = in_one_commit(Flow.fail)
    ignore = in_one_commit(Flow.ignore)
    ingest = in_one_commit(Flow.ingest)
    plan = in_one_commit(Flow.plan)
    resolve = in_one_commit(Flow.resolve)
    start = in_one_commit(Flow.start)
    succeed = in_one_commit(Flow.succeed)
