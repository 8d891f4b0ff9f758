"""Sessions of a request: bound to its tenant, and told who asks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.web.context import TenantContext

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession


@contextlib.contextmanager
def request_session(
    tenancy: Tenancy, context: TenantContext, *, read_only: bool = False, isolation_level: str | None = None
) -> Iterator[TenantSession]:
    """Opens a session of the request's tenant that knows who asks; the caller commits.

    Raises: TenantRequired for a request without a tenant, and as ``Tenancy.session``.
    """
    with tenancy.session(context.tenant, read_only=read_only, isolation_level=isolation_level) as session:
        session.info.update(context.facts())
        yield session


@contextlib.asynccontextmanager
async def request_session_async(
    tenancy: Tenancy, context: TenantContext, *, read_only: bool = False, isolation_level: str | None = None
) -> AsyncIterator[AsyncTenantSession]:
    """Opens an async session of the request's tenant that knows who asks; the caller commits.

    Raises: as ``request_session``.
    """
    async with tenancy.aio.session(context.tenant, read_only=read_only, isolation_level=isolation_level) as session:
        session.info.update(context.facts())
        yield session
