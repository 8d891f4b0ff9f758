"""What the documents' routes have in common: sessions, permissions, and the bounds of what is asked."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

from tenantry.errors import ExtraMissing
from tenantry.packs.documents.graph import DEEPEST
from tenantry.packs.documents.pack import Documents
from tenantry.repository import Query as Rows
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession

try:
    from fastapi import Depends, Query
except ImportError as error:
    raise ExtraMissing(module="tenantry.packs.documents.http", extra="web") from error

from tenantry.web import permitted, tenant_session, tenant_transaction

R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=200)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Number = Annotated[int, Query(ge=1, le=2**31 - 1)]
Depth = Annotated[int, Query(ge=1, le=DEEPEST, description="How many steps the walk goes.")]
Search = Annotated[str, Query(max_length=200, description="Text that title or content holds, whatever its case.")]
Types = Annotated[list[str] | None, Query(max_length=50, description="The kinds of lines to follow; none: all.")]


def reading_of(pack: Documents) -> Any:
    """Returns the dependency that gives a route a session to read with."""
    return Depends(tenant_session(pack.tenancy, read_only=True))


def writing_of(pack: Documents) -> Any:
    """Returns the dependency that gives a route a session that commits before it answers."""
    return Depends(tenant_transaction(pack.tenancy), scope="function")


def may(permission: str) -> list[Any]:
    """Returns the dependency that asks for a permission."""
    return [Depends(permitted(permission))]


async def run(db: AsyncTenantSession, work: Callable[[TenantSession], R]) -> R:
    """Returns what *work* comes to with the session behind the async one."""
    return await db.run_sync(lambda session: work(cast(TenantSession, session)))


def page(rows: Rows[Any], limit: int, offset: int) -> dict[str, Any]:
    """Returns a part of the rows as dictionaries, and how many there are in all."""
    items = [row.to_dict() for row in rows.limit(limit).offset(offset).all()]
    return {"items": items, "total": rows.count(), "limit": limit, "offset": offset}
