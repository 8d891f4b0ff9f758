"""From a tenant's key to where its sessions go: looked up once, kept for a stated while, checked for its status."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import Engine

from tenantry.catalog.resolver import Kept
from tenantry.errors import TenantNotFound, TenantSuspended, TenantUnavailable
from tenantry.ids import SLUG_KIND, parse_key
from tenantry.isolation.base import Strategy
from tenantry.isolation.binding import READ_ONLY_OPTION
from tenantry.isolation.control import Control
from tenantry.isolation.servers import Servers
from tenantry.session.criteria import tenant_criteria
from tenantry.settings import Config
from tenantry.types import Tenant, TenantKey, TenantStatus

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_NEXT_STEPS: Final = {
    TenantStatus.PROVISIONING: "Finish its creation with `tenantry tenants create` or `tenantry fleet work`.",
    TenantStatus.ERASING: "It is being erased and does not come back.",
    TenantStatus.ERASED: "It was erased and does not come back.",
}


class Route:
    """Where one tenant's sessions go, with everything prepared that they share."""

    __slots__ = ("binding", "criteria", "strategy", "tenant")

    def __init__(self, tenant: Tenant, strategy: Strategy) -> None:
        self.tenant = tenant
        self.strategy = strategy
        self.binding = strategy.enter(tenant.id)
        self.criteria = tenant_criteria(tenant.id)

    def engine(self, *, read_only: bool = False, isolation_level: str | None = None) -> Engine:
        """Returns the engine that reaches the tenant's rows."""
        engine = self.strategy.engine(self.tenant.id)
        return engine.execution_options(**extra) if (extra := _extra(read_only, isolation_level)) else engine

    def async_engine(self, *, read_only: bool = False, isolation_level: str | None = None) -> AsyncEngine:
        """Returns the engine of the running event loop that reaches the tenant's rows."""
        engine = self.strategy.async_engine(self.tenant.id)
        return engine.execution_options(**extra) if (extra := _extra(read_only, isolation_level)) else engine


class Router:
    """Finds routes by key; a malformed key sends no statement, and a suspended tenant gets no route."""

    def __init__(self, control: Control, servers: Servers, config: Config) -> None:
        self._control = control
        self._servers = servers
        self._kept: Kept[Route] = Kept(ttl=config.route_ttl, limit=config.route_limit)
        servers.on_departure(self._kept.forget)

    def route(self, key: TenantKey) -> Route:
        """Returns the route of an active tenant.

        Raises: InvalidKey, TenantNotFound, TenantSuspended, TenantUnavailable, ServerUnknown, UnsafeLogin.
        """
        found = self.kept(key)
        if found is not None:
            return found
        parsed, asked = parse_key(key), self._kept.ask()
        tenant = self._control.resolve(parsed)
        self._servers.get(tenant.server if tenant else "main").ensure_checked()
        return self._keep(parsed, tenant, asked)

    async def route_async(self, key: TenantKey) -> Route:
        """Returns the route of an active tenant without blocking the event loop.

        Raises: as ``route``.
        """
        found = self.kept(key)
        if found is not None:
            return found
        parsed, asked = parse_key(key), self._kept.ask()
        tenant = await self._control.resolve_async(parsed)
        await self._servers.get(tenant.server if tenant else "main").ensure_checked_async()
        return self._keep(parsed, tenant, asked)

    def finds(self, key: TenantKey, tenant: uuid.UUID) -> bool:
        """Whether a key finds this tenant, and as late for another as for nobody.

        Raises: InvalidKey.
        """
        return self._keeps(key, tenant) or _is(self._control.resolve(parse_key(key)), tenant)

    async def finds_async(self, key: TenantKey, tenant: uuid.UUID) -> bool:
        """Says the same without blocking the event loop.

        Raises: InvalidKey.
        """
        return self._keeps(key, tenant) or _is(await self._control.resolve_async(parse_key(key)), tenant)

    def _keeps(self, key: TenantKey, tenant: uuid.UUID) -> bool:
        # What is kept of others is no answer: it comes sooner than that nobody has the name, and so would tell names.
        kept = self.kept(key)
        return kept is not None and kept.tenant.id == tenant

    def forget(self, tenant: Tenant) -> None:
        """Drops what is kept about a tenant, as its status or place has changed."""
        self._kept.forget(tenant.id)

    def clear(self) -> None:
        """Drops every kept route."""
        self._kept.clear()

    def kept(self, key: TenantKey) -> Route | None:
        """Returns the route of an active tenant if it is known already.

        Raises: InvalidKey.
        """
        # Nothing is kept under a malformed slug, so a text need not be looked at before it is looked up.
        found = self._kept.get((SLUG_KIND, key)) if isinstance(key, str) else None
        return found or self._kept.get(parse_key(key))

    def _keep(self, parsed: tuple[str, str], tenant: Tenant | None, asked: Any) -> Route:
        if tenant is None:
            raise TenantNotFound(key=parsed[1])
        check_open(tenant)
        route = Route(tenant, self._servers.strategy_of(tenant))
        self._kept.put(parsed, tenant.id, route, asked=asked)
        return route


def _is(found: Tenant | None, tenant: uuid.UUID) -> bool:
    return found is not None and found.id == tenant


def check_open(tenant: Tenant) -> None:
    """Lets an active tenant pass.

    Raises: TenantSuspended, TenantUnavailable.
    """
    if tenant.status is TenantStatus.ACTIVE:
        return
    if tenant.status is TenantStatus.SUSPENDED:
        raise TenantSuspended(tenant=tenant.id)
    raise TenantUnavailable(tenant=tenant.id, status=tenant.status, next_step=_NEXT_STEPS[tenant.status])


def _extra(read_only: bool, isolation_level: str | None) -> dict[str, Any]:
    extra: dict[str, Any] = {READ_ONLY_OPTION: True} if read_only else {}
    return {**extra, "isolation_level": isolation_level} if isolation_level else extra
