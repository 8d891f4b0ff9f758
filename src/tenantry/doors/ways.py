"""How a session that finds its tenant late gets at it: at once, or awaited from inside a greenlet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.util import await_only

from tenantry.session.routes import Route
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, TenantKey

R = TypeVar("R")


class Way(Protocol):
    """One of the two doors, as a session sees it from inside."""

    tenancy: Tenancy

    def route(self, key: TenantKey) -> Route:
        """Returns the route of an active tenant.

        Raises: as ``Router.route``.
        """
        ...

    def engine(self, route: Route) -> Engine:
        """Returns the engine that reaches the tenant's rows through this door."""
        ...

    def run(self, work: Callable[[], R]) -> R:
        """Returns what *work*, which may take its time, comes to."""
        ...


class PlainWay:
    """The synchronous door."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy

    def route(self, key: TenantKey) -> Route:
        return self.tenancy.router.route(key)

    def engine(self, route: Route) -> Engine:
        return route.engine()

    def run(self, work: Callable[[], R]) -> R:
        return work()


class AwaitedWay:
    """The asynchronous door; its methods are called where SQLAlchemy may await."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy

    def route(self, key: TenantKey) -> Route:
        router = self.tenancy.router
        return router.kept(key) or await_only(router.route_async(key))

    def engine(self, route: Route) -> Engine:
        found = route.async_engine()
        if route.tenant.isolation is Isolation.DATABASE:
            await_only(self.tenancy.servers.get(route.tenant.server).engines.of_this_loop().retire())
        return found.sync_engine

    def run(self, work: Callable[[], R]) -> R:
        return await_only(asyncio.to_thread(work))
