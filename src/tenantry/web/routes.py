"""What the routes of a system have in common: sessions, permissions, bounds, and a part of a list with its total."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Query

from tenantry.repository import Query as Rows
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.web.dependencies import permitted, tenant_session, tenant_transaction

R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
SearchText = Annotated[str, Query(max_length=200, description="Text that a row must hold, whatever its case.")]


def reading_of(tenancy: Tenancy) -> Any:
    """Returns the dependency that gives a route a session to read with."""
    return Depends(tenant_session(tenancy, read_only=True))


def writing_of(tenancy: Tenancy) -> Any:
    """Returns the dependency that gives a route a session which is committed before the answer: a failure is none."""
    return Depends(tenant_transaction(tenancy), scope="function")


def may(permission: str) -> list[Any]:
    """Returns the dependencies of a route that takes a permission."""
    return [Depends(permitted(permission))]


async def run(session: AsyncTenantSession, work: Callable[[TenantSession], R]) -> R:
    """Returns what *work* comes to with the synchronous session behind the awaited one."""
    return await session.run_sync(lambda behind: work(cast(TenantSession, behind)))


def part(
    rows: Rows[Any], limit: int, offset: int, *, name: str = "items", shown: Callable[[Any], Any] | None = None
) -> dict[str, Any]:
    """Returns a part of a list under *name*, each row as *shown* gives it, with the total of all that there are."""
    found = rows.limit(limit).offset(offset).all()
    items = found if shown is None else [shown(row) for row in found]
    return {name: items, "total": rows.count(), "limit": limit, "offset": offset, "returned": len(items)}
