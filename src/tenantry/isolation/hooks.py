"""What every engine of ours does at check-out, BEGIN and statement: bind, guard, and refuse what cannot be bound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from tenantry.errors import ContextLost, TenantRequired, TransactionModeRefused
from tenantry.isolation.binding import (
    OPTION,
    READ_ONLY_OPTION,
    Binding,
    begin_statement,
    check_isolation_level,
    take_isolation_level,
)
from tenantry.isolation.sqlite_connection import bind


def binding_of(connection: Connection) -> Binding:
    """Returns what the transaction of *connection* is bound to.

    Raises: TenantRequired when nobody bound it, before any statement is sent.
    """
    binding = connection.get_execution_options().get(OPTION)
    if not isinstance(binding, Binding):
        raise TenantRequired
    return binding


def driver_of(connection: Connection) -> Any:
    """Returns the driver's own connection, the same object in both doors."""
    return connection.connection.driver_connection


def hook_psycopg(engine: Engine) -> None:
    """Teaches a psycopg engine in AUTOCOMMIT to send BEGIN and the binding as one message."""
    event.listen(engine, "begin", _begin_psycopg)
    event.listen(engine, "checkout", _refuse_dirty_psycopg)
    event.listen(engine, "set_connection_execution_options", _take_level_from_connection)
    event.listen(engine, "set_engine_execution_options", _take_level_from_engine)
    _hook_common(engine)


def hook_asyncpg(engine: Engine) -> None:
    """Teaches an asyncpg engine to send the binding with the driver's own BEGIN."""
    event.listen(engine, "begin", _arm_asyncpg)
    event.listen(engine, "checkout", _refuse_dirty_asyncpg)
    event.listen(engine, "before_cursor_execute", _watch_asyncpg)
    event.listen(engine, "set_connection_execution_options", _check_level)
    event.listen(engine, "set_engine_execution_options", _check_level)
    _hook_common(engine)


def hook_sqlite(engine: Engine, *, walled: bool) -> None:
    """Teaches an SQLite engine to begin at once as a writer, or as a reader where only reading was asked."""
    event.listen(engine, "begin", _begin_walled_sqlite if walled else _begin_sqlite)
    event.listen(engine, "checkout", _refuse_dirty_walled_sqlite if walled else _refuse_dirty_sqlite)
    event.listen(engine, "before_cursor_execute", _watch_sqlite)
    event.listen(engine, "set_connection_execution_options", _check_and_drop_level)
    event.listen(engine, "set_engine_execution_options", _check_and_drop_level)
    _hook_common(engine)


def _hook_common(engine: Engine) -> None:
    event.listen(engine, "begin_twophase", _refuse_two_phase)


def _begin_psycopg(connection: Connection) -> None:
    binding, begin = binding_of(connection), begin_statement(connection)
    dbapi_connection = connection.connection.dbapi_connection
    with _typed(connection):
        if connection.dialect.is_async:
            dbapi_connection.run_async(lambda driver: driver.enter(begin, binding))  # type: ignore[union-attr]  # an AdaptedConnection
        else:
            driver_of(connection).enter(begin, binding)


def _arm_asyncpg(connection: Connection) -> None:
    driver_of(connection).arm(binding_of(connection))


def _begin_walled_sqlite(connection: Connection) -> None:
    bind(driver_of(connection), binding_of(connection).tenant)
    _begin_sqlite(connection)


def _begin_sqlite(connection: Connection) -> None:
    binding_of(connection)
    reading = connection.get_execution_options().get(READ_ONLY_OPTION)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE", execution_options={"tenantry_begins": True})


@contextlib.contextmanager
def _typed(connection: Connection) -> Iterator[None]:
    """Gives up the connection on any failure to begin, and raises the driver's error as SQLAlchemy types it."""
    dialect = connection.dialect
    try:
        yield
    except BaseException as error:
        connection.invalidate(error)
        if not isinstance(error, dialect.loaded_dbapi.Error):
            raise
        raise DBAPIError.instance(
            "BEGIN", None, error, dialect.loaded_dbapi.Error, connection_invalidated=True, dialect=dialect
        ) from error


def _refuse_dirty_psycopg(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    # SQLAlchemy can hand out a connection inside another's open transaction (HAZARDS S1, sqlalchemy#13381).
    driver: Any = entry.driver_connection
    driver.binding = None
    if driver.info.transaction_status:
        raise DisconnectionError("the pooled connection was inside a transaction")


def _refuse_dirty_asyncpg(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    driver: Any = entry.driver_connection
    driver.disarm()
    if driver.is_in_transaction():
        raise DisconnectionError("the pooled connection was inside a transaction")


def _refuse_dirty_walled_sqlite(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    bind(entry.driver_connection, None)
    _refuse_dirty_sqlite(_, entry, __)


def _refuse_dirty_sqlite(_: DBAPIConnection, entry: ConnectionPoolEntry, __: object) -> None:
    driver: Any = entry.driver_connection
    if driver.in_transaction:
        raise DisconnectionError("the pooled connection was inside a transaction")


def _watch_asyncpg(connection: Connection, *_: object) -> None:
    driver_of(connection).watch()


def _watch_sqlite(connection: Connection, _: Any, __: str, ___: Any, context: Any, ____: bool) -> None:
    if driver_of(connection).in_transaction or context.execution_options.get("tenantry_begins"):
        return
    raise ContextLost(tenant=binding_of(connection).tenant)


def _take_level_from_connection(_: Connection, options: dict[str, Any]) -> None:
    take_isolation_level(options)


def _take_level_from_engine(_: Engine, options: dict[str, Any]) -> None:
    take_isolation_level(options)


def _check_level(_: Connection | Engine, options: dict[str, Any]) -> None:
    if "isolation_level" in options:
        check_isolation_level(str(options["isolation_level"]).upper().replace("_", " "))


def _check_and_drop_level(_: Connection | Engine, options: dict[str, Any]) -> None:
    _check_level(_, options)
    # An SQLite transaction is serializable whatever is asked.
    options.pop("isolation_level", None)


def _refuse_two_phase(_: Connection, __: Any) -> None:
    raise TransactionModeRefused(mode="A two-phase transaction", fix="Use one ordinary transaction per tenant.")
