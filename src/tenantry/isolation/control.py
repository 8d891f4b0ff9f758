"""The way to the catalog: functions for the app login's requests, tables for the platform's and the owner's work."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from tenantry.catalog.records import catalog_version
from tenantry.catalog.store import (
    PostgresStore,
    SqliteStore,
    Store,
    opening_statement,
    registering_statements,
)
from tenantry.catalog.tables import VERSION
from tenantry.catalog.upgrades import check_version
from tenantry.errors import CatalogMissing
from tenantry.isolation.binding import UNBOUND
from tenantry.isolation.hooks import bound_async
from tenantry.isolation.postgres import APP, OPERATOR, OWNER, PLATFORM, PostgresServer
from tenantry.isolation.servers import Servers
from tenantry.isolation.sqlite import CATALOG, SqliteServer
from tenantry.types import Tenant

_LOOKING_UP: Final = "Looking up a tenant"


class Control:
    """The catalog of one installation, on its main server."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._seen = False
        self._current = False

    @property
    def store(self) -> Store:
        """What the main server's kind of database does in its own way."""
        return PostgresStore() if isinstance(self._servers.main, PostgresServer) else SqliteStore()

    def resolve(self, key: tuple[str, str]) -> Tenant | None:
        """Returns the tenant that an exact key finds, or None."""
        with self.app(_LOOKING_UP) as connection:
            return self.store.resolve(connection, *key)

    async def resolve_async(self, key: tuple[str, str]) -> Tenant | None:
        """Returns the same through the asynchronous driver."""
        main = self._servers.main
        if isinstance(main, SqliteServer):
            engine, binding = main.async_library_engine(CATALOG), UNBOUND
        else:
            await main.ensure_checked_async()
            prepared = main.config.prepared_statements
            engine, binding = main.async_engine(APP, action=_LOOKING_UP, prepared=prepared), main.unbound()
        async with bound_async(engine, binding) as connection:
            if not self._seen:
                await connection.run_sync(self._see)
            return await connection.run_sync(lambda sync: self.store.resolve(sync, *key))

    @property
    def looked_at(self) -> bool:
        """Whether this process has seen that the catalog is there and of a version that it can read."""
        return self._seen > 0

    @contextlib.contextmanager
    def app(self, action: str) -> Iterator[Connection]:
        """Opens a transaction with the rights of the app login.

        Raises: CatalogMissing, CatalogVersionMismatch, UnsafeLogin.
        """
        main = self._servers.main
        if isinstance(main, PostgresServer):
            main.ensure_checked()
        with self._open(APP, action) as connection:
            if not self._seen:
                self._see(connection)
            yield connection

    @contextlib.contextmanager
    def manage(self, action: str) -> Iterator[Connection]:
        """Opens a transaction that may list and change tenants: the platform's login, else the owner's.

        Raises: LoginRequired when neither was given.
        """
        main = self._servers.main
        given = isinstance(main, PostgresServer) and main.has_login(PLATFORM)
        with self._open(PLATFORM if given else OWNER, action) as connection:
            yield connection

    @contextlib.contextmanager
    def tables(self, action: str) -> Iterator[Connection]:
        """Opens the same on a catalog of this library's own version, with every table it knows.

        Raises: LoginRequired, CatalogMissing, CatalogVersionMismatch for a catalog that install() must upgrade first.
        """
        with self.manage(action) as connection:
            if not self._current:
                self._check_current(connection)
            yield connection

    def registering(self, tenant: Tenant, names: Sequence[tuple[str, str]], head: str | None) -> list[str]:
        """Returns what registers a tenant inside a transaction of the owner's on the catalog's PostgreSQL server."""
        return [self._asking, *registering_statements(tenant, names, head)]

    def opening(self, tenant: uuid.UUID) -> list[str]:
        """Returns what opens a tenant inside the same, or another, transaction of the owner's."""
        return [self._asking, opening_statement(tenant)]

    @property
    def _asking(self) -> str:
        # The word to which the catalog's functions answer.
        return f"SET LOCAL {self._servers.main.config.context_setting} = 'catalog'"

    def record_operator(self, reason: str, server: str) -> None:
        """Puts a look across tenants on the record, in a transaction of its own, before it happens."""
        with self._open(OPERATOR, "Looking across tenants") as connection:
            self.store.record_operator(connection, reason, server)

    @contextlib.contextmanager
    def _open(self, login: str, action: str) -> Iterator[Connection]:
        main = self._servers.main
        if isinstance(main, PostgresServer):
            with main.connection(login, action=action) as connection:
                yield connection
            return
        if not (main.file(CATALOG)).exists():
            raise CatalogMissing(server=main.name)
        with main.connection(CATALOG) as connection:
            yield connection

    def _check_current(self, connection: Connection) -> None:
        try:
            found = catalog_version(connection)
        except ProgrammingError as error:
            raise CatalogMissing(server=self._servers.main.name) from error
        check_version(found, oldest=VERSION)
        self._current = True

    def _see(self, connection: Connection) -> None:
        check_version(self.store.version(connection))
        self._seen = True
