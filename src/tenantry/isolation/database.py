"""Isolation ``database``: a PostgreSQL database or an SQLite file for each tenant."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy.engine import Engine

from tenantry.ids import physical_file, physical_name
from tenantry.isolation.binding import Binding
from tenantry.isolation.contents import count_rows, missing_tables
from tenantry.isolation.hooks import bound
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import SqliteServer
from tenantry.isolation.wall import database_statements, quote
from tenantry.types import Finding, Isolation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


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

    def create(self, tenant: uuid.UUID) -> None:
        name, config = self.place(tenant), self._server.config
        action = "Creating a tenant's database"
        if not self.exists(tenant):
            with self._server.owner(action=action) as connection:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY wal_log")
        if self._complete(tenant):
            return
        mark = mark_of(self._server.database).replace("'", "''")
        statements = [
            f"COMMENT ON DATABASE {name} IS '{mark}'",
            *database_statements(config, name),
            *self._server.shared_tables_statements(),
            f"SET LOCAL search_path = {quote(config.common_schema)}, pg_temp",
            *self._server.own_tables_statements(self._server.capabilities()),
        ]
        self._server.run(statements, action=action, database=name)
        self._server.publish_shared(name)

    def drop(self, tenant: uuid.UUID) -> Mapping[str, int]:
        if not self.exists(tenant):
            return {}
        counts = self._counts(tenant) if self._complete(tenant) else {}
        self._server.engines.forget(self.place(tenant))
        with self._server.owner(action="Dropping a tenant's database") as connection:
            connection.execute(f"DROP DATABASE {self.place(tenant)} WITH (FORCE)")
        return counts

    def exists(self, tenant: uuid.UUID) -> bool:
        question = "select 1 from pg_database where datname = %s"
        with self._server.owner(action="Looking for a tenant's database") as connection:
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

    def _counts(self, tenant: uuid.UUID) -> Mapping[str, int]:
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            return count_rows(connection, self._server.metadata)

    def _complete(self, tenant: uuid.UUID) -> bool:
        # The tables and their walls are made in one transaction, so any policy means all of them.
        with self._server.owner(action="Looking into a tenant's database", database=self.place(tenant)) as connection:
            return connection.execute("select 1 from pg_policy limit 1").fetchone() is not None


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

    def create(self, tenant: uuid.UUID) -> None:
        self._server.sweep_leftovers(self.place(tenant))
        self._server.create_file(self.place(tenant))

    def drop(self, tenant: uuid.UUID) -> Mapping[str, int]:
        self._server.sweep_leftovers(self.place(tenant))
        if not self.exists(tenant):
            return {}
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            counts = count_rows(connection, self._server.metadata)
        self._server.remove_file(self.place(tenant))
        return counts

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
