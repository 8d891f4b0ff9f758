"""The awaited face of rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.errors import RatesUnavailable
from tenantry.limits.rate_stores import DatabaseStore
from tenantry.limits.rules import Decision, Limit, RateUsage, Rule, decision, granted, in_words
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.routes import Route
from tenantry.types import Isolation, TenantKey

if TYPE_CHECKING:
    from tenantry.limits.rates import Rates


class AsyncRates:
    """The awaited face of ``Rates``; make it through ``rates.aio``."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    def __repr__(self) -> str:
        return f"{self._rates!r}.aio"

    async def consume(
        self, whose: TenantKey | AsyncTenantSession, resource: str, *, cost: int = 1, limit: Rule | None = None
    ) -> Decision:
        """Takes *cost* if it is there, and says whether it was.

        Raises: as ``Rates.consume``.
        """
        return await self._decide(whose, resource, cost=cost, limit=limit)

    async def consume_or_raise(
        self, whose: TenantKey | AsyncTenantSession, resource: str, *, cost: int = 1, limit: Rule | None = None
    ) -> Decision:
        """Takes *cost*.

        Raises: RateLimited where it is not there, with ``retry_after``; and as ``consume``.
        """
        return granted(await self.consume(whose, resource, cost=cost, limit=limit), resource)

    async def check(
        self, whose: TenantKey | AsyncTenantSession, resource: str, *, cost: int = 1, limit: Rule | None = None
    ) -> Decision:
        """Says whether *cost* would be granted now; only ``consume`` binds.

        Raises: as ``consume``.
        """
        return await self._decide(whose, resource, cost=cost, limit=limit, looking=True)

    async def peek(
        self, whose: TenantKey | AsyncTenantSession, resource: str, *, limit: Rule | None = None
    ) -> Decision:
        """Says what is left, and takes nothing.

        Raises: as ``consume``.
        """
        return await self._decide(whose, resource, cost=1, limit=limit, looking=True)

    async def reset(self, whose: TenantKey | AsyncTenantSession, resource: str, *, limit: Rule | None = None) -> None:
        """Forgets what was used of *resource*.

        Raises: as ``consume``.
        """
        at = await self._at(whose)
        await self._rates.store.forget_async(at, self._rates.ask(at.tenant, resource, limit=limit))

    async def prune(self, key: TenantKey) -> int:
        """Deletes the rows of resources that are whole again, and returns how many they were.

        Raises: as ``Tenancy.session``.
        """
        route, store = await self._route(key), self._rates.store
        return await store.prune_async(route) if isinstance(store, DatabaseStore) else 0

    async def check_limit(
        self, whose: TenantKey | AsyncTenantSession, resource_type: str, *, limit_period: str, limit_value: int
    ) -> tuple[bool, RateUsage]:
        """Says whether one more would be granted in this period, and how far the limit is used.

        Raises: as ``consume``.
        """
        limit = Limit(limit_value, per=limit_period)
        return in_words(await self.check(whose, resource_type, limit=limit), resource_type, limit)

    async def increment_usage(
        self, whose: TenantKey | AsyncTenantSession, resource_type: str, *, limit_period: str, limit_value: int
    ) -> tuple[bool, RateUsage]:
        """Takes one if it is there, and says whether it was and how far the limit is used now.

        Raises: as ``consume``.
        """
        limit = Limit(limit_value, per=limit_period)
        return in_words(await self.consume(whose, resource_type, limit=limit), resource_type, limit)

    async def _decide(
        self,
        whose: TenantKey | AsyncTenantSession,
        resource: str,
        *,
        cost: int,
        limit: Rule | None,
        looking: bool = False,
    ) -> Decision:
        at = await self._at(whose)
        ask = self._rates.ask(at.tenant, resource, cost=cost, limit=limit, looking=looking)
        try:
            state = await self._rates.store.decide_async(at, ask)
        except RatesUnavailable as error:
            return self._rates.uncounted(ask, error)
        return decision(ask.rule, state, cost=cost)

    async def _at(self, whose: TenantKey | AsyncTenantSession) -> Route | AsyncTenantSession:
        return whose if isinstance(whose, AsyncTenantSession) else await self._route(whose)

    async def _route(self, key: TenantKey) -> Route:
        tenancy = self._rates.tenancy
        route = tenancy.router.kept(key) or await tenancy.router.route_async(key)
        if route.tenant.isolation is Isolation.DATABASE:
            # Engines of other tenants that made way for this one's.
            await tenancy.servers.get(route.tenant.server).engines.of_this_loop().retire()
        return route
