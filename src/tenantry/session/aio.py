"""The asynchronous door: the same session, awaited."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from tenantry.errors import ExtraMissing
from tenantry.session.core import BoundSession, TenantSession
from tenantry.types import Tenant

try:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
except ImportError as error:
    raise ExtraMissing(module="The asynchronous door", extra="asyncpg") from error

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


class Face(Generic[Owner]):
    """The awaited face of an object whose methods take a session first; ``through`` makes its methods."""

    def __init__(self, behind: Owner) -> None:
        self.behind = behind

    def __repr__(self) -> str:
        return f"{self.behind!r}.aio"


def through(
    method: Callable[Concatenate[Owner, TenantSession, P], R],
) -> Callable[Concatenate[Face[Owner], AsyncTenantSession, P], Coroutine[Any, Any, R]]:
    """Returns *method* of what stands behind a face, with the same parameters for an async session."""

    @functools.wraps(method)
    async def run(self: Face[Owner], session: AsyncTenantSession, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await session.run_sync(lambda inner: method(self.behind, inner, *args, **kwargs))  # type: ignore[arg-type]  # it is a TenantSession

    return run
