"""The asynchronous door: the same session, awaited."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from tenantry.session.core import BoundSession, TenantSession
from tenantry.types import Tenant

P = ParamSpec("P")
R = TypeVar("R")
Owner = TypeVar("Owner")


class AsyncBoundSession(AsyncSession):
    """The awaited face of a session of the library's own logins."""

    sync_session_class: type[BoundSession] = BoundSession

    def __init__(self, bind: AsyncEngine, **options: Any) -> None:
        options.setdefault("sync_session_class", type(self).sync_session_class)
        super().__init__(bind, **options)


class AsyncTenantSession(AsyncBoundSession):
    """The awaited face of a tenant's session; ``run_sync`` reaches the session itself."""

    sync_session_class = TenantSession
    sync_session: TenantSession

    def __repr__(self) -> str:
        tenant = self.tenant
        return f"<AsyncTenantSession of {tenant.slug!r} ({tenant.id})>"

    @property
    def tenant(self) -> Tenant:
        """The tenant this session belongs to."""
        return self.sync_session.tenant


def awaited(
    method: Callable[Concatenate[Owner, TenantSession, P], R],
) -> Callable[Concatenate[Owner, AsyncTenantSession, P], Coroutine[Any, Any, R]]:
    """Returns *method*, whose first argument is a session, with the same parameters for an async session."""

    @functools.wraps(method)
    async def run(self: Owner, session: AsyncTenantSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await session.run_sync(lambda inner: method(self, inner, *args, **kwargs))  # type: ignore[arg-type]  # it is a TenantSession

    return run
