"""Engines made from URLs: one per login of a server, one per tenant's own database, with our connections in them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, create_engine

from tenantry.errors import ExtraMissing
from tenantry.isolation.budget import Budget
from tenantry.isolation.hooks import hook_asyncpg, hook_psycopg, hook_sqlite
from tenantry.isolation.queues import AsyncPool, Pool
from tenantry.isolation.sqlite_connection import ConnectionFactory
from tenantry.isolation.sqlite_library import LibraryConnection
from tenantry.settings import Config

try:
    from tenantry.isolation.drivers import psycopg as psycopg_driver
except ImportError:  # the extra is missing; said in one sentence when an engine is asked for
    psycopg_driver = None  # type: ignore[assignment]

try:
    from tenantry.isolation.drivers import asyncpg as asyncpg_driver
except ImportError:  # as above
    asyncpg_driver = None  # type: ignore[assignment]

try:
    from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
except ImportError:  # greenlet is missing
    AsyncEngine = create_async_engine = None  # type: ignore[assignment,misc]

_closings: Final[set[asyncio.Future[None]]] = set()

MakeRoom = Callable[[], None]
AsyncMakeRoom = Callable[[], Awaitable[None]]
# Asked before each connection is made, for the name and the password to log in with.
Credentials = Callable[[], Mapping[str, Any]]
# From a driver's own way to connect to one within the budget.
Connecting = Callable[[Callable[..., Any]], Callable[..., Any]]


def postgres_engine(
    url: URL,
    config: Config,
    *,
    budget: Budget | None = None,
    make_room: MakeRoom,
    credentials: Credentials | None = None,
) -> Engine:
    """Returns a psycopg engine whose every transaction is bound.

    Raises: ExtraMissing without psycopg.
    """
    if psycopg_driver is None:
        raise ExtraMissing(module="The synchronous PostgreSQL door", extra="postgres")
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        poolclass=Pool,
        **_pool_options(config),
    )

    def connect(_: object, __: object, arguments: Any, options: Any) -> Any:
        fresh = {**options, **(credentials() if credentials else {})}
        return _budgeted(budget, make_room, lambda: psycopg_driver.BoundConnection.connect(*arguments, **fresh))

    event.listen(engine, "do_connect", connect)
    hook_psycopg(engine, config)
    return engine


def _budgeted(budget: Budget | None, make_room: MakeRoom, connect: Callable[[], Any]) -> Any:
    if budget is None:
        return connect()
    budget.acquire(make_room)
    try:
        connection = connect()
    except BaseException:
        budget.release()
        raise
    connection.on_close = budget.hold(connection, connection.fileno())
    return connection


def async_postgres_engine(
    url: URL,
    config: Config,
    *,
    budget: Budget | None = None,
    make_room: AsyncMakeRoom,
    credentials: Credentials | None = None,
    prepared: bool,
) -> AsyncEngine:
    """Returns an async engine on the driver that *url* names, psycopg unless it says asyncpg.

    Raises: ExtraMissing without the driver.
    """
    if create_async_engine is None:
        raise ExtraMissing(module="The asynchronous door", extra="asyncpg")
    connecting = functools.partial(_async_budgeted, budget, make_room, credentials)
    if url.get_driver_name() == "asyncpg":
        return _asyncpg_engine(url, config, connecting, prepared=prepared)
    return _async_psycopg_engine(url, config, connecting)


def _async_psycopg_engine(url: URL, config: Config, connecting: Connecting) -> AsyncEngine:
    if psycopg_driver is None:
        raise ExtraMissing(module="The asynchronous PostgreSQL door", extra="postgres")
    connect = psycopg_driver.AsyncBoundConnection.connect
    engine = create_async_engine(
        url.set(drivername="postgresql+psycopg_async"),
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        poolclass=AsyncPool,
        connect_args={"async_creator_fn": connecting(connect)},
        **_pool_options(config),
    )
    hook_psycopg(engine.sync_engine, config)
    return engine


def _asyncpg_engine(url: URL, config: Config, connecting: Connecting, *, prepared: bool) -> AsyncEngine:
    if asyncpg_driver is None:
        raise ExtraMissing(module="The asyncpg door", extra="asyncpg")
    arguments: dict[str, Any] = {
        "async_creator_fn": connecting(asyncpg_driver.connect),
        "connection_class": asyncpg_driver.BoundConnection,
    }
    if not prepared:
        # A plan kept for one schema answers another with "cached plan must not change result type" (HAZARDS B11);
        # a statement named on one server connection is unknown, or another's, on the next behind a transaction pooler.
        arguments |= {"prepared_statement_cache_size": 0, "statement_cache_size": 0}
        arguments["prepared_statement_name_func"] = str
    engine = create_async_engine(
        url,
        hide_parameters=True,
        poolclass=AsyncPool,
        connect_args=arguments,
        **_pool_options(config),
    )
    hook_asyncpg(engine.sync_engine, config)
    return engine


def _async_budgeted(
    budget: Budget | None, make_room: AsyncMakeRoom, credentials: Credentials | None, connect: Callable[..., Any]
) -> Callable[..., Any]:
    async def creator(*arguments: Any, **options: Any) -> Any:
        # A reference may lead to a file or a service.
        fresh = {**options, **(await asyncio.to_thread(credentials) if credentials else {})}
        if budget is None:
            return await _whole(connect(*arguments, **fresh))
        await budget.acquire_async(make_room)
        return await _whole(_held(budget, connect(*arguments, **fresh)))

    return creator


async def _held(budget: Budget, connecting: Awaitable[Any]) -> Any:
    try:
        connection = await connecting
    except BaseException:
        budget.release()
        raise
    connection.on_close = budget.hold(connection, connection.fileno(), loop=asyncio.get_running_loop())
    return connection


async def _whole(connecting: Awaitable[Any]) -> Any:
    """Connects to the end, whoever waits: a connection dropped half made stays on the server for a minute (B02)."""
    task = asyncio.ensure_future(connecting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        closing = asyncio.ensure_future(_close_when_made(task))
        _closings.add(closing)
        closing.add_done_callback(_closings.discard)
        raise


async def _close_when_made(task: asyncio.Future[Any]) -> None:
    # Nobody waits for this connection any more, nor for why it could not be made.
    with contextlib.suppress(Exception):
        await (await task).close()


def sqlite_engine(path: str, config: Config, *, factory: ConnectionFactory | None) -> Engine:
    """Returns an engine on one SQLite file; without *factory* it is the library's own and has no fence."""
    engine = create_engine(
        URL.create("sqlite", database=path),
        connect_args=_sqlite_arguments(factory),
        hide_parameters=True,
        poolclass=Pool,
        **_pool_options(config),
    )
    hook_sqlite(engine, config)
    return engine


def async_sqlite_engine(path: str, config: Config, *, factory: ConnectionFactory | None) -> AsyncEngine:
    """Returns an async engine on one SQLite file.

    Raises: ExtraMissing without aiosqlite.
    """
    if create_async_engine is None:
        raise ExtraMissing(module="The asynchronous SQLite door", extra="sqlite-async")
    try:
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=path),
            connect_args=_sqlite_arguments(factory),
            hide_parameters=True,
            poolclass=AsyncPool,
            **_pool_options(config),
        )
    except ModuleNotFoundError as error:
        raise ExtraMissing(module="The asynchronous SQLite door", extra="sqlite-async") from error
    hook_sqlite(engine.sync_engine, config)
    return engine


def _sqlite_arguments(factory: ConnectionFactory | None) -> dict[str, Any]:
    return {
        "isolation_level": None,
        "timeout": 30.0,
        "check_same_thread": False,
        "factory": factory or LibraryConnection,
    }


def _pool_options(config: Config) -> dict[str, Any]:
    return {
        "pool_size": config.pool_size,
        "max_overflow": config.max_overflow,
        "pool_timeout": config.pool_timeout,
        "pool_recycle": config.pool_recycle,
        "pool_use_lifo": True,
    }
