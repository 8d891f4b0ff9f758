"""Scratch places: a schema or a file that belongs to no tenant, in the journal before it is made, and gone afterwards.

One at an older revision begins empty and goes through the application's migrations up to there.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import MetaData

from tenantry.catalog.operations import Course, Operation
from tenantry.fleet.core import alembic_history
from tenantry.fleet.history import History, Pace
from tenantry.fleet.homes import home_of
from tenantry.ids import uuid7
from tenantry.isolation.blueprints import Blueprint
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import PLATFORM, SqliteServer
from tenantry.isolation.sqlite_library import LibraryConnection
from tenantry.isolation.sqlite_stored import quote
from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.models import Ownership, owned_tables
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant, TenantStatus

# In an operation's detail, while there is one.
SCRATCH: Final = "scratch"
_ACTION: Final = "Making a scratch place"


@contextlib.contextmanager
def scratch(tenancy: Tenancy, server: str, *, course: Course, revision: str | None) -> Iterator[Tenant]:
    """Yields a place like a tenant's own, as the models make it or, with *revision*, as that one leaves it.

    Raises: LoginRequired without the owner's login on PostgreSQL, and what a migration raises.
    """
    place = _place_on(tenancy, server)
    course.step("scratch", **{SCRATCH: {"server": server, "id": str(place.id)}})
    try:
        if revision is None:
            tenancy.servers.strategy_of(place).create(place.id, head=tenancy.scripts.head())
        else:
            _grow(tenancy, place, revision)
        yield place
    except BaseException:
        _drop(tenancy, place)
        raise
    course.step("drop")
    _drop(tenancy, place)
    course.detail[SCRATCH] = None


def migrate(tenancy: Tenancy, place: Tenant, *, revision: str | None) -> None:
    """Brings a scratch place to another revision.

    Raises: MigrationFailed, Diverged, and as the fleet.
    """
    history = alembic_history(tenancy)
    with contextlib.ExitStack() as stack:
        stack.callback(_close, history)
        home = home_of(place, tenancy.servers.get(place.server))
        assert home is not None  # noqa: S101  # a scratch place is never in common tables
        history.apply(home, revision, pace=Pace())


def sweep_scratch(tenancy: Tenancy, operation: Operation) -> None:
    """Removes the scratch place that a crashed operation noted; removing it again changes nothing."""
    noted: Mapping[str, Any] | None = operation.detail.get(SCRATCH)
    if noted:
        _drop(tenancy, _place_on(tenancy, noted["server"], uuid.UUID(noted["id"])))


def _place_on(tenancy: Tenancy, server: str, identifier: uuid.UUID | None = None) -> Tenant:
    chosen = identifier or uuid7()
    on_postgres = isinstance(tenancy.servers.get(server), PostgresServer)
    isolation = Isolation.SCHEMA if on_postgres else Isolation.DATABASE
    physical = tenancy.servers.strategy(server, isolation).place(chosen)
    return Tenant(chosen, "scratch", "scratch", TenantStatus.PROVISIONING, isolation, server, physical, 1)


def _grow(tenancy: Tenancy, place: Tenant, revision: str) -> None:
    server = tenancy.servers.get(place.server)
    if isinstance(server, PostgresServer):
        bare = Blueprint(MetaData(), server.config, server.capabilities(), None).schema(place.physical)
        path = f"search_path = {place.physical}, {EXTENSIONS_SCHEMA}, pg_temp"
        server.replay(bare, path, action=_ACTION)
    else:
        _make_file(server, place.physical)
    migrate(tenancy, place, revision=revision)
    if isinstance(server, SqliteServer):
        _publish(server, place.physical)


def _publish(server: SqliteServer, physical: str) -> None:
    """Brings a file of an older revision the Shared rows that a tenant's refer to, as far as it has their columns."""
    tables = owned_tables(server.metadata, Ownership.SHARED)
    if not tables:
        return
    with server.connection(PLATFORM) as source, server.connection(physical) as target:
        for table in tables:
            found = target.exec_driver_sql("SELECT name FROM pragma_table_info(?)", (table.name,)).scalars()
            names = [name for name in found if name in table.columns]
            columns = ", ".join(map(quote, names))
            rows = source.exec_driver_sql(f"SELECT {columns} FROM {quote(table.name)}").fetchall() if names else []
            if rows:
                places = ", ".join("?" * len(names))
                insert = f"INSERT OR IGNORE INTO {quote(table.name)} ({columns}) VALUES ({places})"
                target.exec_driver_sql(insert, [tuple(row) for row in rows])


def _make_file(server: SqliteServer, physical: str) -> None:
    path = server.file(physical)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    sqlite3.connect(path, factory=LibraryConnection).close()


def _drop(tenancy: Tenancy, place: Tenant) -> None:
    server = tenancy.servers.get(place.server)
    if isinstance(server, SqliteServer):
        # What it has may be older than the models, so nothing is counted.
        server.sweep_leftovers(place.physical)
        server.remove_file(place.physical)
    else:
        tenancy.servers.strategy_of(place).drop(place.id, force=True)


def _close(history: History) -> None:
    # Alembic's keeps a connection for its thread, which may be a worker's for long.
    close = getattr(history, "close", None)
    if close is not None:
        close()
