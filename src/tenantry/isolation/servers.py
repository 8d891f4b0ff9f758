"""The servers that one process knows, by name, and the isolations that each offers."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import MetaData
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from tenantry.errors import ConfigurationError, IsolationUnavailable, ServerExists, ServerUnknown
from tenantry.isolation.adopted import AdoptedDatabase
from tenantry.isolation.base import Strategy
from tenantry.isolation.database import PostgresDatabase, SqliteFile
from tenantry.isolation.departures import Departed
from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.isolation.rows import PostgresRows, SqliteRows
from tenantry.isolation.schema import PostgresSchema
from tenantry.isolation.sqlite import SqliteServer
from tenantry.secrets import Secrets, is_reference
from tenantry.settings import Config
from tenantry.types import Isolation, Tenant

MAIN = "main"

_FORMS = "Use postgresql://login@host/database or sqlite:///directory."

Server = PostgresServer | SqliteServer


class Servers:
    """A registry of servers; adding one opens nothing."""

    def __init__(self, metadata: MetaData, config: Config) -> None:
        self.metadata = metadata
        self._config = config
        self._servers: dict[str, Server] = {}
        self._strategies: dict[tuple[str, Isolation], Strategy] = {}
        self._told: list[Departed] = []
        self._shown: list[Callable[[Server, Engine], None]] = []

    def __repr__(self) -> str:
        return f"Servers({', '.join(repr(server) for server in self._servers.values())})"

    def all(self) -> list[Server]:
        """Returns every server, ``main`` first."""
        return list(self._servers.values())

    def on_departure(self, listener: Departed) -> None:
        """Has *listener* told of each tenant that has left the place where a session looked for it."""
        self._told.append(listener)

    def on_engine(self, listener: Callable[[Server, Engine], None]) -> None:
        """Has *listener* see every engine of every server, those to come too, before its first use."""
        self._shown.append(listener)
        for server in self.all():
            server.engines.on_engine(functools.partial(listener, server))

    @property
    def main(self) -> Server:
        """The server that holds the catalog."""
        return self.get(MAIN)

    def add(
        self,
        name: str,
        url: str | URL,
        *,
        owner_url: str | None = None,
        operator_url: str | None = None,
        platform_url: str | None = None,
    ) -> Server:
        """Makes a server known under *name*.

        Raises: ServerExists, ConfigurationError for a URL of another database.
        """
        if name in self._servers:
            raise ServerExists(name=name)
        others = {"owner": owner_url, "operator": operator_url, "platform": platform_url}
        server = self._make(name, {APP: url, **{login: other for login, other in others.items() if other}})
        for listener in self._shown:
            server.engines.on_engine(functools.partial(listener, server))
        self._servers[name] = server
        self._strategies |= {(name, strategy.isolation): strategy for strategy in _strategies(server)}
        return server

    @contextmanager
    def standing_in(
        self, url: str | URL, *, owner_url: str | None, operator_url: str | None, platform_url: str | None
    ) -> Iterator[None]:
        """Has one other server, as ``main``, stand in for all that are known, until the block ends; for tests."""
        kept = self._servers, self._strategies
        self._servers, self._strategies = {}, {}
        try:
            self.add(MAIN, url, owner_url=owner_url, operator_url=operator_url, platform_url=platform_url)
            yield
        finally:
            for server in self.all():
                server.engines.close()
            self._servers, self._strategies = kept

    def get(self, name: str) -> Server:
        """Returns the server of that name.

        Raises: ServerUnknown.
        """
        try:
            return self._servers[name]
        except KeyError:
            raise ServerUnknown(name=name) from None

    def lend_login(self, name: str, login: str, url: str | URL) -> None:
        """Makes one more login of a server known; one that was given stays, and SQLite has none.

        Raises: ServerUnknown, ConfigurationError for a URL that cannot be read.
        """
        server, parsed = self.get(name), _parse(url)
        if isinstance(server, PostgresServer):
            server.lend_login(login, parsed, read_again=_reader(url))

    def strategy(self, name: str, isolation: Isolation) -> Strategy:
        """Returns how *isolation* is done on the server.

        Raises: ServerUnknown, IsolationUnavailable.
        """
        server = self.get(name)
        try:
            return self._strategies[name, isolation]
        except KeyError:
            reason = f"{server.kind} has no such thing; choose rows or database."
            raise IsolationUnavailable(isolation=isolation.value, server=name, reason=reason) from None

    def strategy_of(self, tenant: Tenant) -> Strategy:
        """Returns how a tenant's isolation is done where it lives; a database that was adopted keeps its name.

        Raises: ServerUnknown, IsolationUnavailable.
        """
        found, server = self.strategy(tenant.server, tenant.isolation), self.get(tenant.server)
        if isinstance(server, PostgresServer) and tenant.physical != found.place(tenant.id):
            return AdoptedDatabase(server, tenant.physical)
        return found

    def default_isolation(self, name: str) -> Isolation:
        """Returns the isolation a tenant gets where none was asked for."""
        return Isolation.DATABASE if self.get(name).kind == "sqlite" else Isolation.ROWS

    def _make(self, name: str, urls: Mapping[str, str | URL]) -> Server:
        logins = {login: _parse(url) for login, url in urls.items()}
        app = logins[APP]
        if app.get_backend_name() == "sqlite":
            directory = Path(app.database or "")
            return SqliteServer(name, directory, departed=self._tell, metadata=self.metadata, config=self._config)
        server = PostgresServer(name, logins, departed=self._tell, metadata=self.metadata, config=self._config)
        for login, url in urls.items():
            server.lend_login(login, logins[login], read_again=_reader(url))
        return server

    def _tell(self, tenant: uuid.UUID) -> None:
        for listener in self._told:
            listener(tenant)


def _read(url: str | URL) -> str | URL:
    """Returns a URL, read where it is only a reference to one: ``env:NAME``, ``file:/path`` and the like."""
    secrets = Secrets()
    if isinstance(url, str) and is_reference(url, schemes=secrets.schemes):
        return secrets.read(url, whose="A database URL")
    return url


def _reader(url: str | URL) -> Callable[[], URL] | None:
    """Returns what reads a reference again, or None for a URL that is none."""
    refers = isinstance(url, str) and is_reference(url, schemes=Secrets().schemes)
    return functools.partial(_parse, url) if refers else None


def _parse(url: str | URL) -> URL:
    try:
        parsed = make_url(_read(url))
    except (ArgumentError, ValueError):
        raise ConfigurationError(what="The database URL cannot be read.", fix=_FORMS) from None
    if "@" in (parsed.host or ""):
        # The rest of the password would be taken for the host, and shown as such.
        fix = "Write '@' as %40, ':' as %3A and '/' as %2F there."
        raise ConfigurationError(what="The database URL has a bare '@' in user or password.", fix=fix)
    if parsed.drivername == "postgres":
        parsed = parsed.set(drivername="postgresql")
    if parsed.get_backend_name() not in ("postgresql", "sqlite"):
        raise ConfigurationError(what=f"Tenantry does not speak to {parsed.get_backend_name()}.", fix=_FORMS)
    if parsed.get_backend_name() == "sqlite" and not parsed.database:
        raise ConfigurationError(what="The SQLite URL names no directory.", fix=_FORMS)
    return parsed


def _strategies(server: Server) -> list[Strategy]:
    if isinstance(server, SqliteServer):
        return [SqliteRows(server), SqliteFile(server)]
    return [PostgresRows(server), PostgresSchema(server), PostgresDatabase(server)]
