"""A home in PostgreSQL on its way through a plan, on one connection of the owner's that nobody else uses."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home, HomeKind, lock_key
from tenantry.fleet.owning import search_path
from tenantry.fleet.sites import Site
from tenantry.fleet.sqitch.clients import Client, Progress, busy
from tenantry.fleet.sqitch.project import Project
from tenantry.fleet.sqitch.registry_postgres import PostgresRegistry
from tenantry.fleet.sqitch.sight import Sight, chooses_roles
from tenantry.fleet.sqitch.statements import Script
from tenantry.fleet.sqitch.walls import Walls
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.wall import Capabilities
from tenantry.types import Finding

try:
    import psycopg
    from psycopg.pq import TransactionStatus
except ImportError:  # said in one sentence where a connection is asked for
    psycopg = None  # type: ignore[assignment]

# The key of the advisory lock that `sqitch` takes in a database while it works there. Ours take it shared: homes of
# one database do not wait for each other, and `sqitch` waits for us as we wait for it.
_SQITCH_LOCK: Final = 75474063
_GLANCE: Final = 0.05
# What another's lock ends in: lock_not_available, deadlock_detected.
_BUSY: Final = ("55P03", "40P01")
# Rolled back for another's sake, out of resources, not in the state for it, intervened in, and errors of the system.
_ABOUT_THE_SERVER: Final = ("40", "53", "55", "57", "58", "XX")


def schema_of(home: Home, server: PostgresServer) -> str:
    """Returns the schema in which a home's own tables stand."""
    return home.physical if home.kind is HomeKind.SCHEMA else server.config.common_schema


@contextlib.contextmanager
def open_postgres(site: Site, server: PostgresServer, project: Project, pace: Pace) -> Iterator[PostgresClient]:
    """Opens a home and holds it until it is closed.

    Raises: HomeBusy, LoginRequired.
    """
    home = site.home
    database = home.physical if home.kind is HomeKind.DATABASE else None
    with server.owner(action="Migrating", database=database) as connection:
        _take(connection, home, pace)
        yield PostgresClient(site, server, project, connection, pace)


def _settings(home: Home, server: PostgresServer, pace: Pace) -> str:
    # For the whole connection, which is this home's own: a script may have many transactions, or none.
    settings = [search_path(home, server), f"lock_timeout = {_milliseconds(pace.lock_timeout)}"]
    if pace.statement_timeout is not None:
        settings.append(f"statement_timeout = {_milliseconds(pace.statement_timeout)}")
    # In a tenant's own home its own rows are all there is to see; in common tables no tenant bears that name.
    settings.append(f"{server.config.context_setting} = '{home.tenant or 'catalog'}'")
    # A DBA sees what burns.
    settings.append(f"application_name = 'tenantry:fleet:{home.tenant or home.kind}'")
    return "; ".join(f"SET {setting}" for setting in settings)


def _milliseconds(seconds: float) -> int:
    # Nought would mean no limit at all.
    return max(1, round(seconds * 1000))


def _take(connection: Any, home: Home, pace: Pace) -> None:
    locks = {
        f"pg_try_advisory_lock_shared({_SQITCH_LOCK})": "sqitch did not leave its database",
        f"pg_try_advisory_lock({lock_key(home)})": "another migration did not leave it",
    }
    deadline = time.monotonic() + pace.lock_timeout
    for lock, reason in locks.items():
        while not connection.execute(f"SELECT {lock}").fetchone()[0]:
            if time.monotonic() > deadline:
                raise busy(home, pace, reason)
            time.sleep(_GLANCE)


class PostgresClient(Client):
    """A home in PostgreSQL."""

    registry: PostgresRegistry

    def __init__(self, site: Site, server: PostgresServer, project: Project, connection: Any, pace: Pace) -> None:
        super().__init__(PostgresRegistry(project, site.home, connection))
        self.failures = (psycopg.Error,)
        self._connection = connection
        self._settings = _settings(site.home, server, pace)
        self._at_home = f"SET LOCAL ROLE NONE; SET LOCAL {search_path(site.home, server)}"
        config = server.config
        question = "select rolsuper, rolbypassrls from pg_roles where rolname = current_user"
        superuser, bypasses = connection.execute(question).fetchone()
        version = connection.info.server_version
        capabilities = Capabilities(version, superuser, superuser or (bypasses and version >= 160000))
        self._walls = Walls(site, schema_of(site.home, server), capabilities=capabilities)
        self._operator = config.role("operator")
        self._blind = site.home.tenant is None and not (superuser or bypasses)

    @property
    def registry_name(self) -> str:
        return self.registry.schema

    def joins(self, script: Script) -> bool:
        return script.whole

    def run(self, script: Script, progress: Progress, finish: Callable[[], None] | None = None) -> int:
        touched = 0
        self._begin_session()
        sight = self._sight(script)
        for number, statement in enumerate(script.statements, 1):
            if finish and number == len(script.statements):
                progress.statement = None
                finish()
            progress.statement = statement
            touched += sight.run(self._connection, statement)
            progress.done = number
        progress.statement = None
        return touched

    def _sight(self, script: Script) -> Sight:
        opens = self._blind and not chooses_roles(script)
        forced = self._walls.forced(self._connection) if opens else frozenset()
        return Sight(self._walls.names, forced, self._operator, self._raise_walls_now)

    def look(self) -> None:
        self._walls.look(self._connection)

    def raise_walls(self) -> list[Finding]:
        # A script may have stepped into another role or schema, and may leave checks for the end.
        self._connection.execute(f"{self._at_home}; SET CONSTRAINTS ALL IMMEDIATE")
        return self._walls.raise_missing(self._connection)

    def _raise_walls_now(self) -> None:
        """Raises walls in the middle of a script, which goes on with the search path it has chosen."""
        (path,) = self._connection.execute("SELECT current_setting('search_path')").fetchone()
        self._connection.execute(self._at_home)
        self._walls.raise_missing(self._connection)
        self._connection.execute("SELECT set_config('search_path', %s, true)", (path,), prepare=False)

    def has_all_tables(self) -> bool:
        return bool(self._walls.names) and self._walls.names == self._walls.forced(self._connection)

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.info.transaction_status != TransactionStatus.IDLE)

    def shut(self) -> None:
        self._walls.shut(self._connection)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        with self._connection.transaction():
            self._connection.execute(self._at_home)
            yield
            self.registry.forget_unfinished()

    def holding(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def abandon(self) -> None:
        if self.in_transaction:
            self._connection.execute("ROLLBACK")
        self._begin_session()

    def _begin_session(self) -> None:
        # psql gives each script a session of its own; here only the locks outlive one.
        self._connection.execute(f"RESET ROLE; RESET ALL; DISCARD TEMP; DEALLOCATE ALL; {self._settings}")

    def is_busy(self, error: Exception) -> bool:
        return getattr(error, "sqlstate", None) in _BUSY

    def says_nothing(self, error: Exception) -> bool:
        return str(getattr(error, "sqlstate", "")).startswith(_ABOUT_THE_SERVER)
