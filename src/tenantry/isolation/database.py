"""Isolation ``database``: a PostgreSQL database or an SQLite file for each tenant."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection
from sqlalchemy.engine import Engine

from tenantry.errors import SurprisingErase
from tenantry.ids import physical_file, physical_name
from tenantry.isolation.binding import Binding
from tenantry.isolation.contents import count_rows, missing_tables
from tenantry.isolation.erasing import PATIENCE, check_database, count_locked, own_tables, patiently, present_tables
from tenantry.isolation.fencing_names import CHANGES_TABLE, FENCE_TABLE, SCHEMA, TABLES
from tenantry.isolation.fencing_sqlite import leave
from tenantry.isolation.hooks import bound
from tenantry.isolation.marks import with_revision
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.purging import Purge, postgres_purge, sqlite_purge
from tenantry.isolation.registries import DATABASE_REGISTRY
from tenantry.isolation.registries import TABLES as REGISTRY_TABLES
from tenantry.isolation.sqlite import SqliteServer, tables_of
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.templates import ready_template
from tenantry.isolation.wall import door_statements, quote
from tenantry.models import SHARED_SCHEMA, Ownership, owned_tables
from tenantry.types import Finding, Isolation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_DROPPING: Final = "Dropping a tenant's database"
# What the models did not make and yet is no stranger's in a tenant's file.
_OURS: Final = frozenset({VERSION_TABLE, FENCE_TABLE, CHANGES_TABLE})


def mark_of(home: str) -> str:
    """Returns the comment on a tenant's database, by which an installation knows its own among others of one server."""
    return f"tenantry: {home}"


class PostgresDatabase:
    """Databases named after tenants' identifiers, within the server's connection budget."""

    isolation = Isolation.DATABASE

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @property
    def walled(self) -> bool:
        # The database, or the file, is a wall of its own.
        return True

    def place(self, tenant: uuid.UUID) -> str:
        return physical_name(tenant)

    def create(self, tenant: uuid.UUID, *, head: str | None = None) -> None:
        name, action = self.place(tenant), "Creating a tenant's database"
        with self._server.owner(action=action) as connection:
            stands = self._stands(connection, tenant)
            if not stands:
                template = ready_template(self._server, connection, self._server.blueprint(head))
                connection.execute(
                    f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log ALLOW_CONNECTIONS false"
                )
            # One that a crash left may be of another revision; asked, it tells.
            mark = with_revision(mark_of(self._server.database), None if stands else head).replace("'", "''")
            opening = [
                *door_statements(self._server.config, name),
                f"COMMENT ON DATABASE {name} IS '{mark}'",
                # Until here nobody could come in: what a template's copy lacks is who may.
                f"ALTER DATABASE {name} ALLOW_CONNECTIONS true",
            ]
            with connection.transaction():
                connection.execute("; ".join(opening))
        self._server.publish_shared(name)

    def drop(self, tenant: uuid.UUID, *, force: bool = False) -> Mapping[str, int]:
        name = self.place(tenant)
        with self._server.owner(action=_DROPPING) as connection:
            if not self._stands(connection, tenant):
                return {}
            with patiently(tenant), self._looking(tenant, connection, force=force) as counts:
                self._server.engines.forget(name)
                # What holds the tables goes with the others: nothing was written since the rows were counted.
                connection.execute(f"DROP DATABASE {quote(name)} WITH (FORCE)")
        return counts

    @contextlib.contextmanager
    def _looking(self, tenant: uuid.UUID, connection: Any, *, force: bool) -> Iterator[Mapping[str, int]]:
        """Yields how many rows there are, while no more can come; a database that was never opened has none."""
        if not self._opened(connection, tenant):
            yield {}
            return
        common = self._server.config.common_schema
        inside = self._server.open_owner(action=_DROPPING, database=self.place(tenant))
        with contextlib.closing(inside), inside.cursor() as cursor:
            cursor.execute(f"BEGIN; SET LOCAL {PATIENCE}")
            if not force:
                check_database(cursor, tenant, self._known())
            present = present_tables(cursor, common, own_tables(self._server.metadata))
            yield count_locked(cursor, common, present, None if force else tenant)

    def _known(self) -> Iterator[tuple[str, str]]:
        common = self._server.config.common_schema
        yield from ((common, name) for name in (*own_tables(self._server.metadata), VERSION_TABLE))
        yield from ((DATABASE_REGISTRY, name) for name in REGISTRY_TABLES)
        yield from ((SCHEMA, name) for name in TABLES)
        yield from ((SHARED_SCHEMA, table.name) for table in owned_tables(self._server.metadata, Ownership.SHARED))

    def purging(self, tenant: uuid.UUID) -> contextlib.AbstractContextManager[Purge]:
        return postgres_purge(self._server, tenant, self._server.common_path(), database=self.place(tenant))

    def exists(self, tenant: uuid.UUID) -> bool:
        with self._server.owner(action="Looking for a tenant's database") as connection:
            return self._stands(connection, tenant)

    def _stands(self, connection: Any, tenant: uuid.UUID) -> bool:
        question = "select 1 from pg_database where datname = %s"
        return connection.execute(question, (self.place(tenant),)).fetchone() is not None

    def _opened(self, connection: Any, tenant: uuid.UUID) -> bool:
        question = "select 1 from pg_database where datname = %s and datallowconn"
        return connection.execute(question, (self.place(tenant),)).fetchone() is not None

    def enter(self, tenant: uuid.UUID) -> Binding:
        return self._server.tenant_binding(tenant, self._server.common_path(), prepared=True)

    def engine(self, tenant: uuid.UUID) -> Engine:
        return self._server.database_engine(self.place(tenant))

    def async_engine(self, tenant: uuid.UUID) -> AsyncEngine:
        return self._server.async_database_engine(self.place(tenant))

    def verify(self, tenant: uuid.UUID) -> list[Finding]:
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            return missing_tables(connection, self._server.metadata, where=f"database {self.place(tenant)}")


class SqliteFile:
    """One SQLite file for each tenant, at a path made of its identifier."""

    isolation = Isolation.DATABASE

    def __init__(self, server: SqliteServer) -> None:
        self._server = server

    @property
    def walled(self) -> bool:
        # The database, or the file, is a wall of its own.
        return True

    def place(self, tenant: uuid.UUID) -> str:
        return physical_file(tenant)

    def create(self, tenant: uuid.UUID, *, head: str | None = None) -> None:
        self._server.sweep_leftovers(self.place(tenant))
        self._server.create_file(self.place(tenant), head=head)

    def drop(self, tenant: uuid.UUID, *, force: bool = False) -> Mapping[str, int]:
        self._server.sweep_leftovers(self.place(tenant))
        if not self.exists(tenant):
            return {}
        # The transaction has SQLite's write lock, so that nothing is written between the count and the end. It is the
        # library's: a tenant that has left the file is let in no more.
        with self._server.connection(self.place(tenant)) as connection:
            if not force:
                self._check_tables(connection, tenant)
            # One that is behind in its migrations lacks some of the models' tables.
            counts = count_rows(connection, self._server.metadata, tables_of(connection))
            # Another process may have it open, and would have the rows of a file without a name.
            leave(connection, tenant)
        self._server.remove_file(self.place(tenant))
        return counts

    def _check_tables(self, connection: Connection, tenant: uuid.UUID) -> None:
        foreign = sorted(tables_of(connection) - self._server.tables_of_files - _OURS)
        if foreign:
            reason = f"{', '.join(foreign)} in the tenant's file, which the models did not make."
            raise SurprisingErase(tenant=tenant, reason=reason)

    def purging(self, tenant: uuid.UUID) -> contextlib.AbstractContextManager[Purge]:
        return sqlite_purge(self._server, tenant, self.place(tenant))

    def exists(self, tenant: uuid.UUID) -> bool:
        return self._server.file(self.place(tenant)).exists()

    def enter(self, tenant: uuid.UUID) -> Binding:
        return Binding(tenant)

    def engine(self, tenant: uuid.UUID) -> Engine:
        return self._server.file_engine(self.place(tenant), tenant)

    def async_engine(self, tenant: uuid.UUID) -> AsyncEngine:
        return self._server.async_file_engine(self.place(tenant), tenant)

    def verify(self, tenant: uuid.UUID) -> list[Finding]:
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            return missing_tables(connection, self._server.metadata, where=f"file {self.place(tenant)}")
