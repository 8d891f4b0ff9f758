"""Where rates are counted; first of all in the tenant's own database."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Protocol

from sqlalchemy.engine import Dialect
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tenantry.errors import RatesUnavailable
from tenantry.isolation import short
from tenantry.isolation.binding import Binding
from tenantry.isolation.hooks import bound, bound_async
from tenantry.limits.rate_statements import Ask, Statements, read_row
from tenantry.limits.rules import State
from tenantry.session.core import TenantSession
from tenantry.session.routes import Route

if TYPE_CHECKING:
    from tenantry.session.aio import AsyncTenantSession

_DOWN: Final = (OperationalError, InterfaceError, PoolTimeoutError)


class RateStore(Protocol):
    """What counts for ``Rates``, in both doors: on its own where it gets a route, in a session's transaction."""

    def decide(self, at: Route | TenantSession, ask: Ask) -> State:
        """Returns the state after asking, or looking.

        Raises: RatesUnavailable.
        """
        ...

    def forget(self, at: Route | TenantSession, ask: Ask) -> None:
        """Forgets what was used.

        Raises: RatesUnavailable.
        """
        ...

    async def decide_async(self, at: Route | AsyncTenantSession, ask: Ask) -> State:
        """Does as ``decide``."""
        ...

    async def forget_async(self, at: Route | AsyncTenantSession, ask: Ask) -> None:
        """Does as ``forget``."""
        ...


class DatabaseStore:
    """Counts in the tenant's database: in the session's transaction, or in a short one of its own, which stands.

    Args:
        durable: on PostgreSQL, whether a decision waits until it would survive a crash of the server.
    """

    def __init__(self, statements: Statements, *, durable: bool) -> None:
        self._statements = statements
        self._durable = durable

    def decide(self, at: Route | TenantSession, ask: Ask) -> State:
        if isinstance(at, TenantSession):
            return self._statements.decide(at, ask)
        engine = at.engine(read_only=ask.looking)
        with _reachable(ask):
            if engine.dialect.driver == "psycopg" and not ask.looking:
                one = self._statements.short(ask)
                return read_row(short.run(engine, at.binding, one, ask.values, durable=self._durable))
            with bound(engine, self._binding(at, engine.dialect)) as connection:
                return self._statements.decide(connection, ask)

    def forget(self, at: Route | TenantSession, ask: Ask) -> None:
        if isinstance(at, TenantSession):
            return self._statements.forget(at, ask)
        with _reachable(ask), bound(at.engine(), at.binding) as connection:
            return self._statements.forget(connection, ask)

    def prune(self, route: Route) -> int:
        """Deletes the rows of resources that are whole again, and returns how many they were."""
        with bound(route.engine(), route.binding) as connection:
            return self._statements.prune(connection, route.tenant.id)

    async def decide_async(self, at: Route | AsyncTenantSession, ask: Ask) -> State:
        if not isinstance(at, Route):
            return await at.run_sync(self._statements.decide, ask)
        engine = at.async_engine(read_only=ask.looking)
        with _reachable(ask):
            if engine.dialect.driver == "psycopg" and not ask.looking:
                one = self._statements.short(ask)
                return read_row(await short.run_async(engine, at.binding, one, ask.values, durable=self._durable))
            async with bound_async(engine, self._binding(at, engine.dialect)) as connection:
                return await connection.run_sync(self._statements.decide, ask)

    async def forget_async(self, at: Route | AsyncTenantSession, ask: Ask) -> None:
        if not isinstance(at, Route):
            return await at.run_sync(self._statements.forget, ask)
        with _reachable(ask):
            async with bound_async(at.async_engine(), at.binding) as connection:
                return await connection.run_sync(self._statements.forget, ask)

    async def prune_async(self, route: Route) -> int:
        """Does as ``prune``."""
        async with bound_async(route.async_engine(), route.binding) as connection:
            return await connection.run_sync(self._statements.prune, route.tenant.id)

    def _binding(self, route: Route, dialect: Dialect) -> Binding:
        if self._durable or dialect.name != "postgresql":
            return route.binding
        return dataclasses.replace(route.binding, preamble=f"{route.binding.preamble}; {short.UNSYNCED}")


@contextlib.contextmanager
def _reachable(ask: Ask) -> Iterator[None]:
    try:
        yield
    except _DOWN as error:
        raise RatesUnavailable(resource=ask.resource, reason=f"{type(error).__name__}.") from error
