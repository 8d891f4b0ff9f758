"""The awaited face of a door, and of sessions that are not bound yet."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from tenantry.doors.asking import Asking, asking
from tenantry.doors.session import late_kind
from tenantry.doors.ways import AwaitedWay
from tenantry.errors import TenantsDisagree
from tenantry.session.aio import AsyncTenantSession
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.doors.core import Door


class AsyncLateSession(AsyncTenantSession):
    """The awaited face of a session that has no tenant until one is named."""

    def __init__(self, **options: Any) -> None:
        super().__init__(None, **options)  # type: ignore[arg-type]  # the engine comes with the tenant

    def __repr__(self) -> str:
        return f"<AsyncLateSession over {self.sync_session!r}>"


@contextlib.asynccontextmanager
async def _of_key(tenancy: Tenancy, key: TenantKey, here: Asking) -> AsyncIterator[AsyncTenantSession]:
    if here.tenant is not None and not await tenancy.router.finds_async(key, here.tenant):
        raise TenantsDisagree
    async with tenancy.aio.session(key) as session:
        yield session


@contextlib.asynccontextmanager
async def _own(tenancy: Tenancy, tenant: uuid.UUID, here: Asking) -> AsyncIterator[AsyncTenantSession]:
    async with tenancy.aio.session(tenant) as session:
        session.info.update(here.facts)
        yield session


class AsyncDoor:
    """The awaited face of a ``Door``; reach it through ``door.aio``."""

    def __init__(self, door: Door[Any]) -> None:
        self._door = door

    def __repr__(self) -> str:
        return f"{self._door!r}.aio"

    def session(self, key: TenantKey | None = None) -> contextlib.AbstractAsyncContextManager[AsyncTenantSession]:
        """Opens a session for an ``async with`` block; the caller commits.

        Raises: as ``Door.session``.
        """
        tenancy, here = self._door.tenancy, asking()
        if key is not None:
            return _of_key(tenancy, key, here)
        if here.tenant is not None:
            return _own(tenancy, here.tenant, here)
        info = {"tenancy": tenancy, **here.facts}
        options = self._door.session_options(AwaitedWay(tenancy))
        return AsyncLateSession(sync_session_class=late_kind(), info=info, **options)

    @contextlib.asynccontextmanager
    async def transaction(self, key: TenantKey | None = None) -> AsyncIterator[AsyncTenantSession]:
        """Opens the same, commits on leaving, and rolls back on an error.

        Raises: as ``Door.transaction``.
        """
        async with self.session(key) as session:
            yield session
            await session.commit()

    async def close(self) -> None:
        """Closes every connection that the running event loop holds, if there is a tenancy."""
        if self._door.opened:
            await self._door.tenancy.aio.close()
