"""The asynchronous door of the cache: the same methods, awaited."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.util import await_only, greenlet_spawn

from tenantry.cache.core import Cache
from tenantry.session.aio import AsyncTenantSession, Face
from tenantry.session.core import TenantSession
from tenantry.types import TenantKey

R = TypeVar("R")


class AsyncCache(Face[Cache]):
    """The awaited face of ``Cache``; make it through ``cache.aio``. ``name`` and ``forget`` serve erasing alike."""

    async def get(
        self,
        at: AsyncTenantSession | TenantKey,
        name: str,
        load: Callable[[AsyncTenantSession], Awaitable[R]],
        *,
        by: Any = None,
        reads: Iterable[type | Table] | None = None,
        tags: Iterable[str] = (),
        ttl: float | None = None,
    ) -> R:
        """Does as ``Cache.get``; *load* is ``async def``, or a plain function of the session behind the async one.

        Raises: as ``Cache.get``.
        """
        question = self.behind.question(name, by=by, reads=reads, tags=tags, ttl=ttl)
        if isinstance(at, AsyncTenantSession):
            session, inner = at, self.behind.own(at.sync_session)
            return await session.run_sync(lambda _: question.in_session(inner, lambda _: _loaded(session, load)))
        tenancy = self.behind.tenancy
        tenant = (tenancy.router.kept(at) or await tenancy.router.route_async(at)).tenant

        async def opened() -> R:
            async with tenancy.aio.session(tenant, read_only=True) as session:
                return await session.run_sync(lambda _: _loaded(session, load))

        return await greenlet_spawn(question.outside, tenant, lambda: await_only(opened()))

    async def drop(self, session: AsyncTenantSession, *tags: str) -> None:
        """Does as ``Cache.drop``."""
        await session.run_sync(lambda inner: self.behind.drop(cast(TenantSession, inner), *tags))

    async def clear(self, key: TenantKey) -> int:
        """Does as ``Cache.clear``."""
        tenant = await self.behind.tenancy.aio.tenants.get(key)
        return await self.forget(tenant.id, None)

    async def forget(self, tenant: UUID, subject: Collection[str] | None) -> int:
        """Does as ``Cache.forget``."""
        return await greenlet_spawn(self.behind.forget, tenant, subject)


def _loaded(session: AsyncTenantSession, load: Callable[..., Any]) -> Any:
    found = load(session if inspect.iscoroutinefunction(load) else session.sync_session)
    return await_only(found) if inspect.isawaitable(found) else found
