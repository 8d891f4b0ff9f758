"""Health: whether servers and tenants answer, what they hold, and what this process has open to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import SQLAlchemyError

from tenantry.errors import TenantryError
from tenantry.isolation.binding import READ_ONLY_OPTION, UNBOUND, Binding
from tenantry.isolation.hooks import bound, bound_async
from tenantry.isolation.postgres import APP
from tenantry.isolation.servers import MAIN, Server
from tenantry.isolation.sqlite import CATALOG, SqliteServer
from tenantry.observe.measuring import Measured, measure
from tenantry.observe.pools import PoolStatus, pools
from tenantry.tenancy import Tenancy
from tenantry.types import TenantKey

_ACTION: Final = "Looking after the server"
# Whatever a driver, a file or the network raises is the answer here.
_FAILURES: Final = (TenantryError, SQLAlchemyError, OSError)


@dataclass(frozen=True, slots=True)
class Check:
    """What a look at a tenant or a server came to: *status* is ``healthy`` or ``unhealthy``."""

    status: str
    response_time: float
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it answered."""
        return self.status == "healthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInfo:
    """A server as it may be shown to anybody: there is no password in it. *version* is empty if it does not answer."""

    server: str
    dialect: str
    driver: str
    location: str
    database: str
    login: str
    version: str
    pool: PoolStatus


class Health:
    """Looks at servers and tenants, and changes nothing; no method raises because of what it finds."""

    def __init__(self, tenancy: Tenancy) -> None:
        self.tenancy = tenancy

    def __repr__(self) -> str:
        return f"Health({self.tenancy!r})"

    @cached_property
    def aio(self) -> AsyncHealth:
        """The same, awaited, through the asynchronous drivers."""
        return AsyncHealth(self)

    def check(self, key: TenantKey) -> Check:
        """Returns whether a session of one tenant gets an answer, and how soon."""

        def look() -> None:
            with self.tenancy.session(key, read_only=True) as session:
                session.execute(text("SELECT 1"))

        return _checked(look)

    def check_server(self, name: str = MAIN) -> Check:
        """Returns whether a server answers, and how soon.

        Raises: ServerUnknown.
        """
        server = self.tenancy.servers.get(name)
        return _checked(lambda: _look_at(server))

    def check_connection(self, server: str = MAIN) -> bool:
        """Returns whether a server answers.

        Raises: ServerUnknown.
        """
        return self.check_server(server).ok

    def get_database_info(self, server: str = MAIN) -> DatabaseInfo:
        """Returns what a server is and how it is reached, without a password.

        Raises: ServerUnknown.
        """
        found = self.tenancy.servers.get(server)
        try:
            version = _look_at(found)
        except _FAILURES:
            version = ""
        return _info(found, version)

    def pools(self) -> Sequence[PoolStatus]:
        """Returns what this process has open, by server."""
        return [pools(server) for server in self.tenancy.servers.all()]

    def measure(self, key: TenantKey, *, tables: Sequence[Table | type] | None = None) -> Measured:
        """Returns how many rows a tenant has, by table, and how large it is; counts them, and so takes its time.

        Raises: as ``Tenancy.session``.
        """
        with self.tenancy.session(key, read_only=True) as session:
            return measure(session, tables)

    def stats(self, key: TenantKey, counts: Sequence[Table | type] | None = None) -> Mapping[str, int]:
        """Returns how many rows a tenant has of each model, or in all its tables.

        Raises: as ``Tenancy.session``.
        """
        return self.measure(key, tables=counts).rows


class AsyncHealth:
    """The awaited face of ``Health``."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._tenancy = health.tenancy

    def __repr__(self) -> str:
        return f"{self._health!r}.aio"

    async def check(self, key: TenantKey) -> Check:
        """Returns whether a session of one tenant gets an answer, and how soon."""
        begun = time.perf_counter()
        try:
            async with self._tenancy.aio.session(key, read_only=True) as session:
                await session.execute(text("SELECT 1"))
        except _FAILURES as error:
            return _unhealthy(error, begun)
        return Check("healthy", time.perf_counter() - begun)

    async def check_server(self, name: str = MAIN) -> Check:
        """Returns whether a server answers, and how soon.

        Raises: ServerUnknown.
        """
        server, begun = self._tenancy.servers.get(name), time.perf_counter()
        try:
            await _look_at_async(server)
        except _FAILURES as error:
            return _unhealthy(error, begun)
        return Check("healthy", time.perf_counter() - begun)

    async def check_connection(self, server: str = MAIN) -> bool:
        """Returns whether a server answers.

        Raises: ServerUnknown.
        """
        return (await self.check_server(server)).ok

    async def get_database_info(self, server: str = MAIN) -> DatabaseInfo:
        """Returns what a server is and how it is reached, without a password.

        Raises: ServerUnknown.
        """
        found = self._tenancy.servers.get(server)
        try:
            version = await _look_at_async(found)
        except _FAILURES:
            version = ""
        return await asyncio.to_thread(_info, found, version)

    async def measure(self, key: TenantKey, *, tables: Sequence[Table | type] | None = None) -> Measured:
        """Returns how many rows a tenant has, by table, and how large it is.

        Raises: as ``Tenancy.session``.
        """
        async with self._tenancy.aio.session(key, read_only=True) as session:
            return await session.run_sync(lambda inner: measure(inner, tables))  # type: ignore[arg-type]  # a TenantSession

    async def stats(self, key: TenantKey, counts: Sequence[Table | type] | None = None) -> Mapping[str, int]:
        """Returns how many rows a tenant has of each model, or in all its tables.

        Raises: as ``Tenancy.session``.
        """
        return (await self.measure(key, tables=counts)).rows


def _checked(look: Callable[[], Any]) -> Check:
    begun = time.perf_counter()
    try:
        look()
    except _FAILURES as error:
        return _unhealthy(error, begun)
    return Check("healthy", time.perf_counter() - begun)


def _unhealthy(error: BaseException, begun: float) -> Check:
    # A driver's words may quote what it was given.
    said = str(error) if isinstance(error, TenantryError) else type(getattr(error, "orig", None) or error).__name__
    return Check("unhealthy", time.perf_counter() - begun, said)


def _look_at(server: Server) -> str:
    engine, binding = _reached(server, server.library_engine if isinstance(server, SqliteServer) else server.engine)
    with bound(engine.execution_options(**{READ_ONLY_OPTION: True}), binding) as connection:
        return _version(connection)


async def _look_at_async(server: Server) -> str:
    make = server.async_library_engine if isinstance(server, SqliteServer) else server.async_engine
    engine, binding = _reached(server, make)
    async with bound_async(engine.execution_options(**{READ_ONLY_OPTION: True}), binding) as connection:
        return await connection.run_sync(_version)


def _reached(server: Server, make: Callable[..., Any]) -> tuple[Any, Binding]:
    if isinstance(server, SqliteServer):
        # Opening one that is missing would make it.
        server.file(CATALOG).stat()
        return make(CATALOG), UNBOUND
    # Unbound, and so without a tenant's rows: nothing here asks for any.
    return make(APP, action=_ACTION, prepared=server.config.prepared_statements), UNBOUND


def _version(connection: Connection) -> str:
    question = "SELECT sqlite_version()" if connection.dialect.name == "sqlite" else "SHOW server_version"
    return str(connection.execute(text(question)).scalar_one())


def _info(server: Server, version: str) -> DatabaseInfo:
    if isinstance(server, SqliteServer):
        driver, database, login = "sqlite3", CATALOG, ""
    else:
        url = server.url(APP, action=_ACTION)
        driver, database, login = url.get_driver_name(), server.database, url.username or ""
    return DatabaseInfo(
        server=server.name,
        dialect=server.kind,
        driver=driver,
        location=server.location,
        database=database,
        login=login,
        version=version,
        pool=pools(server),
    )
