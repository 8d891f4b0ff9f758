"""How a transaction is bound, and what every engine of ours does at check-out and before a statement."""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, ExecutionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from tenantry.errors import ContextLost, QueryTimeout, TenantMoved, TenantRequired
from tenantry.isolation.binding import READ_ONLY_OPTION, Binding, begin_statement, checked_level
from tenantry.isolation.departures import tell
from tenantry.isolation.sqlite_connection import bind, inner_of, wall_of
from tenantry.settings import Config

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_DIRTY: Final = "the pooled connection came back inside a transaction, or with something left on it"
_BEGINS: Final = "tenantry_begins"
_TENANT: Final = "tenantry_tenant"


def enter(connection: Connection, binding: Binding) -> None:
    """Begins the transaction of *connection*, bound; on PostgreSQL in one message with the tenant.

    Raises: TransactionModeRefused, and SQLAlchemy's errors when the database cannot begin.
    """
    # Both doors of psycopg call their driver "psycopg".
    _ENTRANCES[connection.dialect.driver, connection.dialect.is_async](connection, binding)


@contextlib.contextmanager
def bound(engine: Engine, binding: Binding) -> Iterator[Connection]:
    """Opens one bound transaction outside any session; it commits on leaving."""
    with engine.connect() as connection, connection.begin():
        enter(connection, binding)
        yield connection


@contextlib.asynccontextmanager
async def bound_async(engine: AsyncEngine, binding: Binding) -> AsyncIterator[AsyncConnection]:
    """Opens one bound transaction outside any session on the event loop; it commits on leaving."""
    async with engine.connect() as connection, connection.begin():
        await connection.run_sync(enter, binding)
        yield connection


def hook_psycopg(engine: Engine, config: Config) -> None:
    """Has a psycopg engine's pool refuse connections that come back inside a transaction."""
    event.listen(engine, "checkout", _refuse_dirty_psycopg)
    _hook_limits(engine, config)


def hook_asyncpg(engine: Engine, config: Config) -> None:
    """Has an asyncpg engine refuse the same, and statements whose transaction was ended by text."""
    event.listen(engine, "checkout", _refuse_dirty_asyncpg)
    _hook_statements(engine, _watch_asyncpg)
    _hook_limits(engine, config)


def hook_sqlite(engine: Engine, config: Config) -> None:
    """Has an SQLite engine refuse the same."""
    event.listen(engine, "checkout", _refuse_dirty_sqlite)
    _hook_statements(engine, _watch_sqlite)
    _hook_limits(engine, config)


def _hook_statements(engine: Engine, watch: Callable[[ExecutionContext, str], None]) -> None:
    """Has *watch* see each statement on its way to the driver."""

    def before(_: object, statement: str, *rest: Any) -> None:
        watch(rest[-1], statement)

    # Events of the dialect: one listener on the engine's own, and every connection joins the two, at 4 % of a read.
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(engine, name, before)


def _hook_limits(engine: Engine, config: Config) -> None:
    if config.statement_timeout is not None:
        event.listen(engine, "handle_error", functools.partial(_type_timeout, seconds=config.statement_timeout))


def _type_timeout(context: ExceptionContext, *, seconds: float) -> BaseException | None:
    error = context.original_exception
    # 57014 is query_canceled: the limit's, unless somebody asked for it.
    stopped = getattr(error, "sqlstate", None) == "57014" and "user request" not in str(error)
    if stopped or getattr(error, "sqlite_errorname", None) == "SQLITE_INTERRUPT":
        return QueryTimeout(seconds=seconds)
    return None


def _enter_psycopg(connection: Connection, binding: Binding) -> None:
    begin = begin_statement(connection)
    try:
        connection.connection.driver_connection.enter(begin, binding)  # type: ignore[union-attr]  # a BoundConnection
    except BaseException as error:
        _give_up(connection, error)


def _enter_psycopg_async(connection: Connection, binding: Binding) -> None:
    begin = begin_statement(connection)
    adapted: Any = connection.connection.dbapi_connection
    try:
        adapted.run_async(lambda driver: driver.enter(begin, binding))
    except BaseException as error:
        _give_up(connection, error)


def _enter_asyncpg(connection: Connection, binding: Binding) -> None:
    begin_statement(connection)
    connection.connection.driver_connection.arm(binding)  # type: ignore[union-attr]  # a BoundConnection


def _enter_sqlite(connection: Connection, binding: Binding) -> None:
    options = connection.get_execution_options()
    if "isolation_level" in options:
        checked_level(str(options["isolation_level"]))
    if wall_of(connection.connection) is not None:
        bind(connection.connection, binding.tenant)
    connection.info[_TENANT] = binding.tenant
    # A reader that turns writer fails at once where another wrote in between (HAZARDS S16).
    begin = "BEGIN" if options.get(READ_ONLY_OPTION) else "BEGIN IMMEDIATE"
    if binding.tenant is None:
        connection.exec_driver_sql(begin, execution_options={_BEGINS: True})
    else:
        _begin_at_tenant(connection, begin, binding.tenant)


def _begin_at_tenant(connection: Connection, begin: str, tenant: uuid.UUID) -> None:
    adapted: Any = connection.connection.dbapi_connection
    inner: Any = inner_of(adapted)
    try:
        if connection.dialect.is_async:
            # In the connection's own thread, to which aiosqlite has no public way but by statements; as one trip there.
            adapted.run_async(lambda driver: driver._execute(inner.begin, begin, tenant))
        else:
            inner.begin(begin, tenant)
    except TenantMoved as error:
        # The file may be one that is gone, and this connection the last that has it open.
        connection.invalidate()
        raise tell(error, connection.dialect) from None
    except connection.dialect.loaded_dbapi.Error as error:
        base = connection.dialect.loaded_dbapi.Error
        raise DBAPIError.instance(begin, None, error, base, dialect=connection.dialect) from error
    except BaseException as error:
        _give_up(connection, error)


_ENTRANCES: Final = {
    ("psycopg", False): _enter_psycopg,
    ("psycopg", True): _enter_psycopg_async,
    ("asyncpg", True): _enter_asyncpg,
    ("pysqlite", False): _enter_sqlite,
    ("aiosqlite", True): _enter_sqlite,
}


def _give_up(connection: Connection, error: BaseException) -> NoReturn:
    """Closes a connection that failed to begin, and raises the driver's error as SQLAlchemy types it."""
    dialect = connection.dialect
    connection.invalidate(error)
    if not isinstance(error, dialect.loaded_dbapi.Error):
        raise error
    raise DBAPIError.instance(
        "BEGIN", None, error, dialect.loaded_dbapi.Error, connection_invalidated=True, dialect=dialect
    ) from error


def _refuse_dirty_psycopg(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    # SQLAlchemy can hand out a connection inside another's open transaction (HAZARDS S1, sqlalchemy#13381).
    driver: Any = entry.driver_connection
    driver.close_to_unbound()
    if driver.pgconn.transaction_status or driver.residue:
        raise DisconnectionError(_DIRTY)


def _refuse_dirty_asyncpg(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    driver: Any = entry.driver_connection
    driver.close_to_unbound()
    if driver.is_in_transaction() or driver.residue:
        raise DisconnectionError(_DIRTY)


def _refuse_dirty_sqlite(connection: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    driver: Any = entry.driver_connection
    entry.info.pop(_TENANT, None)
    if wall_of(connection) is not None:
        bind(connection, None)
    if driver.in_transaction:
        raise DisconnectionError(_DIRTY)


def _watch_asyncpg(context: ExecutionContext, statement: str) -> None:
    # A statement that the driver has prepared before is not prepared again, so it is watched here.
    context.root_connection.connection.driver_connection.watch(statement)  # type: ignore[union-attr]  # a BoundConnection


def _watch_sqlite(context: ExecutionContext, _: str) -> None:
    connection = context.root_connection
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction or context.execution_options.get(_BEGINS):
        return
    if _TENANT not in connection.info:
        raise TenantRequired
    raise ContextLost(tenant=connection.info[_TENANT])
