"""The async door of a tenancy: the same words, awaited. Management runs in a thread; sessions run on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import ColumnElement, Table

from tenantry.errors import ExtraMissing, OutcomeUnknown
from tenantry.isolation.servers import MAIN
from tenantry.isolation.untenanted import async_operator_engine, async_platform_engine
from tenantry.provision.tenants import Tenants
from tenantry.session.hiding import session_kind
from tenantry.types import Isolation, Outcomes, Tenant, TenantKey

try:
    from tenantry.session.aio import AsyncBoundSession, AsyncTenantSession
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

if TYPE_CHECKING:
    from tenantry.tenancy import Tenancy


P = ParamSpec("P")
R = TypeVar("R")


class AsyncTenancy:
    """The awaited face of a ``Tenancy``; make it through ``tenancy.aio``."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self.tenants = AsyncTenants(tenancy.tenants)

    def __repr__(self) -> str:
        return f"{self._tenancy!r}.aio"

    def session(
        self, key: TenantKey, *, read_only: bool = False, isolation_level: str | None = None
    ) -> contextlib.AbstractAsyncContextManager[AsyncTenantSession]:
        """Opens a session bound to one tenant, for an ``async with`` block; the caller commits.

        Raises: as ``Tenancy.session``.
        """
        return _Opening(functools.partial(self._open, key, read_only=read_only, isolation_level=isolation_level))

    @contextlib.asynccontextmanager
    async def transaction(
        self, key: TenantKey, *, read_only: bool = False, isolation_level: str | None = None
    ) -> AsyncIterator[AsyncTenantSession]:
        """Opens a session bound to one tenant, commits on leaving, and rolls back on an error.

        Raises: as ``Tenancy.transaction``.
        """
        async with self.session(key, read_only=read_only, isolation_level=isolation_level) as session:
            yield session
            await session.commit()

    @contextlib.asynccontextmanager
    async def operator(self, reason: str, *, server: str = MAIN) -> AsyncIterator[AsyncBoundSession]:
        """Opens a session across the tenants of one server's common tables; the reason is on the record first.

        Raises: as ``Tenancy.operator``.
        """
        await asyncio.to_thread(self._tenancy.record_operator, reason, server)
        engine, binding = async_operator_engine(self._tenancy.servers.get(server))
        async with AsyncBoundSession(engine, binding=binding) as session:
            yield session

    @contextlib.asynccontextmanager
    async def platform(self, *, server: str = MAIN) -> AsyncIterator[AsyncBoundSession]:
        """Opens a session on Platform and Shared tables.

        Raises: as ``Tenancy.platform``.
        """
        engine, binding = async_platform_engine(self._tenancy.servers.get(server))
        async with AsyncBoundSession(engine, binding=binding) as session:
            yield session

    async def purge(
        self,
        key: TenantKey,
        table: Table | type,
        *where: ColumnElement[bool],
        older_than: datetime | timedelta,
        column: str = "created_at",
        reason: str,
    ) -> int:
        """Deletes one tenant's rows of a table that are older than a time, or than so much time, and returns how many.

        Raises: as ``Tenancy.purge``.
        """
        named = {"older_than": older_than, "column": column, "reason": reason}
        return await asyncio.to_thread(functools.partial(self._tenancy.purge, key, table, *where, **named))  # type: ignore[arg-type]  # each by its name

    async def each(
        self,
        fn: Callable[[AsyncTenantSession], Awaitable[Any]],
        *,
        where: Callable[[Tenant], bool] | None = None,
        jobs: int = 4,
    ) -> Outcomes:
        """Awaits ``fn(session)`` in a transaction of every active tenant of every server, *jobs* at a time.

        Raises: as ``Tenancy.each``.
        """
        places = asyncio.Semaphore(jobs)
        outcomes = Outcomes({}, {}, {})

        async def run(tenant: Tenant) -> None:
            async with places:
                await self._run(tenant, fn, outcomes)

        tenants = await asyncio.to_thread(lambda: list(self._tenancy.every_tenant()))
        async with asyncio.TaskGroup() as group:
            for tenant in tenants:
                if where is None or where(tenant):
                    group.create_task(run(tenant))
        return outcomes

    async def close(self) -> None:
        """Closes every connection that the running event loop holds."""
        for server in self._tenancy.servers.all():
            await server.engines.of_this_loop().close()
            server.engines.budget.close()

    async def _run(
        self, tenant: Tenant, fn: Callable[[AsyncTenantSession], Awaitable[Any]], outcomes: Outcomes
    ) -> None:
        try:
            async with self.transaction(tenant) as session:
                result = await fn(session)
            outcomes.done[tenant.id] = result  # type: ignore[index]  # filled here, read-only to the caller
        except OutcomeUnknown as error:
            outcomes.unknown[tenant.id] = error  # type: ignore[index]  # as above
        except Exception as error:  # whatever one tenant's work raises is that tenant's outcome
            outcomes.failed[tenant.id] = error  # type: ignore[index]  # as above

    async def _open(self, key: TenantKey, *, read_only: bool, isolation_level: str | None) -> AsyncTenantSession:
        router = self._tenancy.router
        route = router.kept(key) or await router.route_async(key)
        engine = route.async_engine(read_only=read_only, isolation_level=isolation_level)
        if route.tenant.isolation is Isolation.DATABASE:
            await self._tenancy.servers.get(route.tenant.server).engines.of_this_loop().retire()
        return AsyncTenantSession(
            engine,
            sync_session_class=session_kind(),
            tenant=route.tenant,
            binding=route.binding,
            criteria=route.criteria,
            walled=route.strategy.walled,
            info={"tenancy": self._tenancy},
        )


class _Opening(contextlib.AbstractAsyncContextManager[AsyncTenantSession]):
    """A session that is opened on entering; written out, as a generator would cost 2 % of a short read."""

    def __init__(self, open_session: Callable[[], Awaitable[AsyncTenantSession]]) -> None:
        self._open_session = open_session

    async def __aenter__(self) -> AsyncTenantSession:
        self._session = await self._open_session()
        return self._session

    async def __aexit__(self, *raised: Any) -> None:
        await self._session.__aexit__(*raised)


def _awaited(
    method: Callable[Concatenate[Tenants, P], R],
) -> Callable[Concatenate[AsyncTenants, P], Coroutine[Any, Any, R]]:
    """Returns *method* with the same parameters, run in a thread, off the event loop."""

    @functools.wraps(method)
    async def awaited(self: AsyncTenants, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self.tenants, *args, **kwargs)

    return awaited


class AsyncTenants:
    """The awaited face of ``tenancy.tenants``."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants

    add_identity = _awaited(Tenants.add_identity)
    create = _awaited(Tenants.create)
    erase = _awaited(Tenants.erase)
    get = _awaited(Tenants.get)
    identities = _awaited(Tenants.identities)
    list = _awaited(Tenants.list)
    rename = _awaited(Tenants.rename)
    refill = _awaited(Tenants.refill)
    resume = _awaited(Tenants.resume)
    seed = _awaited(Tenants.seed)
    suspend = _awaited(Tenants.suspend)
    warm = _awaited(Tenants.warm)
