"""What the type checkers know about the web's edge; nothing here runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import assert_type

from house import opened

from tenantry import AsyncTenantSession, TenantSession
from tenantry.web import (
    Incoming,
    TenancyMiddleware,
    from_header,
    request_session,
    tenant_session,
    tenant_transaction,
)
from tenantry.web.context import TenantContext
from tenantry.web.resolvers import Resolver


def dependencies() -> None:
    tenancy = opened()
    assert_type(tenant_session(tenancy), Callable[..., AsyncIterator[AsyncTenantSession]])
    assert_type(tenant_session(tenancy, sync=True), Callable[..., Iterator[TenantSession]])
    assert_type(tenant_transaction(tenancy), Callable[..., AsyncIterator[AsyncTenantSession]])
    assert_type(tenant_transaction(tenancy, sync=True), Callable[..., Iterator[TenantSession]])
    tenant_transaction(tenancy, read_only=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def sessions(context: TenantContext) -> None:
    with request_session(opened(), context) as db:
        assert_type(db, TenantSession)
    context.found = None  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def resolvers() -> None:
    def plain(incoming: Incoming) -> str | None:
        return incoming.header("X-Tenant")

    async def awaited(incoming: Incoming) -> tuple[str, str] | None:
        return ("team", incoming.path)

    given: list[Resolver] = [plain, awaited, from_header("X-Tenant")]
    TenancyMiddleware(_application, opened(), resolvers=given)
    TenancyMiddleware(_application, opened(), resolvers=[len])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


async def _application(*_: object) -> None: ...
