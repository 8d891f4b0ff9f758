"""What tests write taken back when they end, whatever the code under test committed meanwhile.

Each session joins one transaction of its tenant, in which its commits end savepoints.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session, SessionTransaction

from tenantry.errors import UndoRefused
from tenantry.isolation.hooks import enter
from tenantry.isolation.sqlite import SqliteServer
from tenantry.session.core import TenantSession
from tenantry.session.hiding import session_kind
from tenantry.session.routes import Route
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantKey

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tenantry.session.aio import AsyncTenantSession

S = TypeVar("S", bound=Session)


@contextmanager
def undone(tenancy: Tenancy) -> Iterator[None]:
    """Takes back, when the block ends, what tenants' sessions of the sync door wrote and committed in it.

    The sessions of one tenant share one connection, so they take turns, as a test's do; tenants themselves stay made.

    Raises: in a session UndoRefused for the second tenant of SQLite's common file.
    """
    with ExitStack() as ends:
        held: dict[uuid.UUID, Connection] = {}

        def joined(route: Route, _: Engine) -> TenantSession:
            if route.tenant.id not in held:
                _check(tenancy, route.tenant, held)
                held[route.tenant.id] = _hold(route, ends)
            return _kind(session_kind())(held[route.tenant.id], **_options(tenancy, route))  # type: ignore[arg-type]  # a connection that stands for its engine

        with _replaced(tenancy, "_session_on", joined):
            yield


@asynccontextmanager
async def undone_async(tenancy: Tenancy) -> AsyncIterator[None]:
    """Does the same for the sessions of the awaited door that are opened on this event loop.

    Raises: as ``undone``.
    """
    async with AsyncExitStack() as ends:
        held: dict[uuid.UUID, AsyncConnection] = {}

        async def joined(key: TenantKey, **_: Any) -> AsyncTenantSession:
            route = await tenancy.router.route_async(key)
            if route.tenant.id not in held:
                _check(tenancy, route.tenant, held)
                held[route.tenant.id] = await _hold_async(route, ends)
            kind, options = _async_kind(), _options(tenancy, route)
            found: AsyncTenantSession = kind(held[route.tenant.id], sync_session_class=_kind(session_kind()), **options)
            return found

        with _replaced(tenancy.aio, "_open", joined):
            yield


@contextmanager
def undone_session(session: S) -> Iterator[S]:
    """Takes back what one session writes in the block, wherever it came from: its commits end savepoints.

    It has to be bound by then, or to be bound by its first statement.
    """
    savepoints = _Savepoints(session)
    try:
        yield session
    finally:
        savepoints.undo()


class _Savepoints:
    """Has a session's commits and rollbacks end a savepoint, and keeps the transaction around it to be undone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._savepoint: SessionTransaction = session.begin_nested()
        # On the object: its class is whatever the models ask for.
        instance: Any = session
        instance.commit, instance.rollback = self.commit, self.rollback

    def commit(self) -> None:
        """Does as a commit would, for this session alone."""
        self._session.flush()
        self._savepoint.commit()
        self._savepoint = self._session.begin_nested()

    def rollback(self) -> None:
        """Takes back what was done since the last commit."""
        self._savepoint.rollback()
        self._savepoint = self._session.begin_nested()

    def undo(self) -> None:
        """Takes everything back."""
        type(self._session).rollback(self._session)


class _Joins:
    """Begins nothing: the transaction it joins is bound already."""

    def bind_transaction(self, connection: Connection) -> None:
        """Leaves the connection as it is."""


def _kind(kind: type[TenantSession]) -> type[TenantSession]:
    return type(f"Joined{kind.__name__}", (_Joins, kind), {})


def _async_kind() -> Any:
    from tenantry.session.aio import AsyncTenantSession  # noqa: PLC0415  # needs greenlet

    return AsyncTenantSession


def _hold(route: Route, ends: ExitStack) -> Connection:
    connection = ends.enter_context(route.engine().connect())
    ends.callback(connection.begin().rollback)
    enter(connection, route.binding)
    return connection


async def _hold_async(route: Route, ends: AsyncExitStack) -> AsyncConnection:
    connection = await ends.enter_async_context(route.async_engine().connect())
    transaction = await connection.begin()
    ends.push_async_callback(transaction.rollback)
    await connection.run_sync(enter, route.binding)
    return connection


def _options(tenancy: Tenancy, route: Route) -> dict[str, Any]:
    return {
        "tenant": route.tenant,
        "binding": route.binding,
        "criteria": route.criteria,
        "walled": route.strategy.walled,
        "info": {"tenancy": tenancy},
        "join_transaction_mode": "create_savepoint",
    }


def _check(tenancy: Tenancy, tenant: Tenant, held: dict[uuid.UUID, Any]) -> None:
    one_file = isinstance(tenancy.servers.get(tenant.server), SqliteServer) and tenant.isolation is Isolation.ROWS
    if held and one_file:
        raise UndoRefused(tenant=tenant.slug)


@contextmanager
def _replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Has an object answer by *value* where its class would answer."""
    setattr(owner, name, value)
    try:
        yield
    finally:
        delattr(owner, name)
