"""One PostgreSQL server: its logins, its engines, and the owner's work on it."""

from __future__ import annotations

import contextlib
import functools
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, MetaData
from sqlalchemy.engine import URL, Engine

from tenantry.errors import ExtraMissing, LoginRequired, UnsafeLogin
from tenantry.isolation.binding import UNBOUND, Binding
from tenantry.isolation.blueprints import Blueprint
from tenantry.isolation.departures import Departed, hook_departures, unheard
from tenantry.isolation.engines import Engines
from tenantry.isolation.hooks import bound, bound_async
from tenantry.isolation.login_check import look_at_login
from tenantry.isolation.owner_work import capabilities_of, conninfo, run_as_owner, run_until_alone, told_of_locks
from tenantry.isolation.pools import async_postgres_engine, postgres_engine
from tenantry.isolation.sharing import copy_shared
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, Capabilities, quote
from tenantry.models import SHARED_SCHEMA, Ownership, owned_tables
from tenantry.settings import Config

try:
    import psycopg
except ImportError:  # said in one sentence where the owner's work begins
    psycopg = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

APP: Final = "app"
OWNER: Final = "owner"
OPERATOR: Final = "operator"
PLATFORM: Final = "platform"

# One lock of one database at a time: two installs wait for each other, whoever else locks what.
INSTALL_LOCK: Final = 0x74656E616E747279


class PostgresServer:
    """A PostgreSQL server as one installation sees it; nothing is opened before it is used."""

    kind = "postgresql"

    def __init__(
        self, name: str, urls: Mapping[str, URL], *, metadata: MetaData, config: Config, departed: Departed = unheard
    ) -> None:
        self.name = name
        self._departed = departed
        self.metadata = metadata
        self.config = config
        self.engines = Engines(name, config)
        self.demoted = False
        self.walled = False
        self._urls = dict(urls)
        # By login, for those that are only references: a password may be another by now.
        self._readers: dict[str, Callable[[], URL]] = {}
        self._checked = False
        self._lock = threading.Lock()
        self._blueprints: dict[str | None, Blueprint] = {}

    def __repr__(self) -> str:
        return f"PostgresServer({self.name!r}, {self.location!r})"

    @property
    def location(self) -> str:
        """The server's address without user and password."""
        url = self._urls[APP]
        return URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()

    @property
    def database(self) -> str:
        """The name of the database that holds the common tables."""
        return self._urls[APP].database or ""

    def url(self, login: str, *, action: str, database: str | None = None) -> URL:
        """Returns the URL of one login; one that is a reference is read anew.

        Raises: LoginRequired when it was not given and this is no development server, SecretUnreadable.
        """
        reader = self._readers.get(login)
        url = reader() if reader else self._urls.get(login) or self._development_url(login, action)
        return url.set(database=database) if database else url

    def has_login(self, login: str) -> bool:
        """Whether a URL was given for this login."""
        return login in self._urls

    def lend_login(self, login: str, url: URL, *, read_again: Callable[[], URL] | None = None) -> None:
        """Makes a login's URL known where none was given; one that was given stays.

        With *read_again* each new connection logs in with the name and password that it returns then.
        """
        if self._urls.setdefault(login, url) is url and read_again is not None:
            self._readers[login] = read_again

    def _credentials(self, login: str) -> Callable[[], Mapping[str, Any]] | None:
        reader = self._readers.get(login)
        return functools.partial(_credentials_in, reader) if reader else None

    def engine(self, login: str, *, action: str, prepared: bool = True) -> Engine:
        """Returns the shared engine of one login."""
        key = (login, prepared)
        return self.engines.shared(key, lambda: self._make(self.url(login, action=action), login))

    def async_engine(self, login: str, *, action: str, prepared: bool = True) -> AsyncEngine:
        """Returns the shared engine of one login for the running event loop."""

        def make() -> AsyncEngine:
            return self._make_async(self.url(login, action=action), login, prepared=prepared)

        return self.engines.of_this_loop().shared((login, prepared), make)

    def database_engine(self, name: str) -> Engine:
        """Returns the app login's engine for a tenant's own database, within the connection budget."""

        def make() -> Engine:
            return self._make(self.url(APP, action="Opening a session", database=name), APP, budgeted=True)

        return self.engines.bounded(name, make)

    def async_database_engine(self, name: str) -> AsyncEngine:
        """Returns the same for the running event loop."""

        def make() -> AsyncEngine:
            url = self.url(APP, action="Opening a session", database=name)
            return self._make_async(url, APP, prepared=self.config.prepared_statements, budgeted=True)

        return self.engines.of_this_loop().bounded(name, make)

    def preamble(self, *settings: str, role: str = APP) -> str:
        """Returns what follows BEGIN: on a demoted login the role, then *settings*, each as SET LOCAL."""
        # The operator's BYPASSRLS belongs to the group role and is not inherited (PostgreSQL, CREATE ROLE, notes).
        takes_role = role == OPERATOR or (self.demoted and role in (APP, PLATFORM))
        demotion = [f"ROLE {self.config.role(role)}"] if takes_role else []
        return "; ".join(f"SET LOCAL {setting}" for setting in [*demotion, *settings])

    def tenant_binding(self, tenant: uuid.UUID, path: str, *, prepared: bool) -> Binding:
        """Returns the binding of a tenant's transactions, with *path* as their search path."""
        settings = (
            f"{self.config.context_setting} = '{tenant}'",
            path,
            # A DBA sees whose statement burns.
            f"application_name = 'tenantry:{tenant}'",
            *_limits(self.config),
        )
        wanted = prepared and self.config.prepared_statements
        return Binding(tenant, self.preamble(*settings), prepared=wanted)

    def common_path(self) -> str:
        """Returns the setting that lets unqualified names find the common tables and nothing else."""
        return f"search_path = {quote(self.config.common_schema)}, {EXTENSIONS_SCHEMA}, pg_temp"

    def unbound(self, role: str = APP) -> Binding:
        """Returns the binding of the library's own work, which belongs to no tenant."""
        # No tenant is called so: policies refuse the word, and the catalog's functions answer to no other.
        nobody = f"{self.config.context_setting} = 'catalog'"
        preamble = self.preamble(nobody, self.common_path(), role=role)
        return Binding(None, preamble, prepared=self.config.prepared_statements)

    @contextlib.contextmanager
    def connection(self, login: str, *, action: str) -> Iterator[Connection]:
        """Opens one transaction of the library's own work under *login*."""
        with bound(self.engine(login, action=action), self.unbound(login)) as connection:
            yield connection

    def open_owner(self, *, action: str, database: str | None = None) -> Any:
        """Returns a psycopg connection of the owner in autocommit, for DDL; it never serves a request.

        Raises: LoginRequired, ExtraMissing.
        """
        if psycopg is None:
            raise ExtraMissing(module="The owner's work on PostgreSQL", extra="postgres")
        return psycopg.connect(conninfo(self.url(OWNER, action=action, database=database)), autocommit=True)

    @contextlib.contextmanager
    def owner(self, *, action: str, database: str | None = None) -> Iterator[Any]:
        """Opens such a connection and closes it.

        Raises: LoginRequired, ExtraMissing.
        """
        with self.open_owner(action=action, database=database) as connection:
            yield connection

    def run(self, statements: Iterable[str], *, action: str, database: str | None = None) -> None:
        """Runs the owner's statements in one transaction, one run at a time per database; asks for them in its turn."""
        with self.owner(action=action, database=database) as connection, connection.transaction():
            connection.execute(f"SELECT pg_advisory_xact_lock({INSTALL_LOCK})")
            for statement in statements:
                run_as_owner(connection, statement)

    def run_each(self, statements: Sequence[str], *, action: str) -> None:
        """Runs the owner's statements on what the whole server shares, each by itself, again where two collide."""
        with self.owner(action=action) as connection:
            for statement in statements:
                run_until_alone(connection, statement)

    def present_tables(self) -> set[str]:
        """Returns the names of the tables that stand in the common and the Shared schema."""
        question = "select schemaname, tablename from pg_tables where schemaname in (%s, %s)"
        with self.owner(action="Reading the tables") as connection:
            rows = connection.execute(question, (self.config.common_schema, SHARED_SCHEMA)).fetchall()
        return {name if schema == self.config.common_schema else f"{schema}.{name}" for schema, name in rows}

    def capabilities(self) -> Capabilities:
        """Returns what the owner may do here."""
        with self.owner(action="Reading the server's capabilities") as connection:
            return capabilities_of(connection)

    def blueprint(self, head: str | None) -> Blueprint:
        """Returns what makes a tenant's own schema or database at revision *head*."""
        if head not in self._blueprints:
            self._blueprints[head] = Blueprint(self.metadata, self.config, self.capabilities(), head)
        return self._blueprints[head]

    @contextlib.contextmanager
    def making(self, *settings: str, action: str) -> Iterator[Any]:
        """Opens a transaction of the owner's on a connection that is kept, and yields a psycopg cursor for scripts.

        Raises: LoginRequired, ExtraMissing, ConfigurationError where the server's lock table is too small.
        """
        binding = Binding(None, self.preamble(*settings, role=OWNER), prepared=False)
        engine = self.engine(OWNER, action=action)
        with told_of_locks(action), bound(engine, binding) as connection:
            # Not the connection's own cursor: DDL of ours leaves nothing behind that would have to be swept.
            yield psycopg.Cursor(connection.connection.driver_connection)  # type: ignore[arg-type]  # psycopg's

    def replay(self, script: str, *settings: str, action: str) -> None:
        """Runs a script of the owner's as one transaction in one message, on a connection that is kept.

        Raises: as ``making``, and psycopg's errors.
        """
        message = f"BEGIN; {self.preamble(*settings, role=OWNER)}; {script}; COMMIT"
        engine = self.engine(OWNER, action=action)
        with told_of_locks(action), contextlib.closing(engine.raw_connection()) as connection:
            # What fails in the middle is rolled back as the connection returns to its pool.
            psycopg.Cursor(connection.driver_connection).execute(message)  # type: ignore[arg-type]  # psycopg's

    def check_login(self, connection: Connection) -> None:
        """Lets an app login pass that the walls hold for; a development server's superuser is demoted.

        Raises: UnsafeLogin.
        """
        walled = [table.name for table in owned_tables(self.metadata, Ownership.TENANT, Ownership.RECORD)]
        found = look_at_login(connection, self.config.common_schema, walled)
        self.walled = found.walled
        if found.unsafe and (found.embedded or self.config.demote):
            self.demoted = True
        elif found.unsafe:
            raise UnsafeLogin(login=found.name, server=self.name, reason=found.unsafe)
        self._checked = True

    @property
    def checked(self) -> bool:
        """Whether the app login has been looked at in this process."""
        return self._checked

    def forget_check(self) -> None:
        """Has the login and the walls looked at again, as an installation may have changed them."""
        self._checked = False
        self._blueprints.clear()

    def ensure_checked(self) -> None:
        """Looks at the app login once per process.

        Raises: UnsafeLogin.
        """
        if self._checked:
            return
        with self._lock:
            if not self._checked:
                prepared = self.config.prepared_statements
                with bound(self.engine(APP, action="Opening a session", prepared=prepared), UNBOUND) as connection:
                    self.check_login(connection)

    async def ensure_checked_async(self) -> None:
        """Looks at the app login once per process, through the asynchronous driver.

        Raises: UnsafeLogin.
        """
        if self._checked:
            return
        engine = self.async_engine(APP, action="Opening a session", prepared=self.config.prepared_statements)
        async with bound_async(engine, UNBOUND) as connection:
            await connection.run_sync(self.check_login)

    def publish_shared(self, database: str) -> None:
        """Brings the copies of Shared rows in a tenant's own database to what the platform wrote."""
        tables = owned_tables(self.metadata, Ownership.SHARED)
        if not tables:
            return
        with self.owner_connection() as source, self.owner_connection(database) as target:
            copy_shared(source, target, tables)

    def owner_connection(self, database: str | None = None) -> contextlib.AbstractContextManager[Connection]:
        """Opens one transaction of the owner in any database of the server, on a connection of its own.

        Raises: LoginRequired.
        """
        return self.connection_to(database, login=OWNER, action="Working as the owner", binding=self.unbound(OWNER))

    @contextlib.contextmanager
    def connection_to(self, database: str | None, *, login: str, action: str, binding: Binding) -> Iterator[Connection]:
        """Opens one transaction of a login in any database of the server, on a connection of its own.

        Raises: LoginRequired.
        """
        engine = self._make(self.url(login, action=action, database=database), login)
        try:
            with bound(engine, binding) as connection:
                yield connection
        finally:
            engine.dispose()

    def _development_url(self, login: str, action: str) -> URL:
        self.ensure_checked()
        if not self.demoted:
            raise LoginRequired(action=action, role=login, server=self.name)
        return self._urls[APP]

    def _make(self, url: URL, login: str, *, budgeted: bool = False) -> Engine:
        budget, make_room = self.engines.budget if budgeted else None, self.engines.make_room
        credentials = self._credentials(login)
        engine = postgres_engine(url, self.config, budget=budget, make_room=make_room, credentials=credentials)
        hook_departures(engine, self._departed)
        return engine

    def _make_async(self, url: URL, login: str, *, prepared: bool, budgeted: bool = False) -> AsyncEngine:
        budget, make_room = self.engines.budget if budgeted else None, self.engines.make_room_async
        engine = async_postgres_engine(
            url,
            self.config,
            budget=budget,
            make_room=make_room,
            credentials=self._credentials(login),
            prepared=prepared,
        )
        hook_departures(engine.sync_engine, self._departed)
        return engine


def _credentials_in(reader: Callable[[], URL]) -> Mapping[str, Any]:
    url = reader()
    found = {"user": url.username, "password": url.password}
    return {name: value for name, value in found.items() if value is not None}


def _limits(config: Config) -> list[str]:
    if config.statement_timeout is None:
        return []
    # Nought would mean no limit at all.
    return [f"statement_timeout = {max(1, round(config.statement_timeout * 1000))}"]
