"""Isolation ``rows``: the tenant's rows stand in common tables, behind the wall of the database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from sqlalchemy.engine import Engine

from tenantry.isolation.binding import Binding
from tenantry.isolation.contents import delete_rows, missing_tables
from tenantry.isolation.hooks import bound
from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.isolation.purging import Purge, emptying, postgres_purge, sqlite_purge
from tenantry.isolation.sqlite import COMMON, SqliteServer
from tenantry.isolation.sqlite_stored import STORED_SUFFIX
from tenantry.types import Finding, Isolation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_ACTION: Final = "Opening a session"


class PostgresRows:
    """Common tables of one PostgreSQL server, behind row-level security."""

    isolation = Isolation.ROWS

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @property
    def walled(self) -> bool:
        return self._server.walled

    def place(self, tenant: uuid.UUID) -> str:
        return ""

    def create(self, tenant: uuid.UUID, *, head: str | None = None) -> None:
        """Makes nothing: the common tables stand since ``install()``."""

    def drop(self, tenant: uuid.UUID, *, force: bool = False) -> Mapping[str, int]:
        with emptying(self, self._server.metadata, tenant) as purge:
            return delete_rows(purge, self._server.metadata)

    def purging(self, tenant: uuid.UUID) -> AbstractContextManager[Purge]:
        return postgres_purge(self._server, tenant, self._server.common_path())

    def exists(self, tenant: uuid.UUID) -> bool:
        return not self.verify(tenant)

    def enter(self, tenant: uuid.UUID) -> Binding:
        return self._server.tenant_binding(tenant, self._server.common_path(), prepared=True)

    def engine(self, tenant: uuid.UUID) -> Engine:
        return self._server.engine(APP, action=_ACTION)

    def async_engine(self, tenant: uuid.UUID) -> AsyncEngine:
        prepared = self._server.config.prepared_statements
        return self._server.async_engine(APP, action=_ACTION, prepared=prepared)

    def verify(self, tenant: uuid.UUID) -> list[Finding]:
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            return missing_tables(connection, self._server.metadata, where=f"server {self._server.name}")


class SqliteRows:
    """Common tables in one SQLite file, behind the wall of temporary views and the authorizer."""

    isolation = Isolation.ROWS

    def __init__(self, server: SqliteServer) -> None:
        self._server = server

    @property
    def walled(self) -> bool:
        # Each connection raises its own wall before it runs anything.
        return True

    def place(self, tenant: uuid.UUID) -> str:
        return ""

    def create(self, tenant: uuid.UUID, *, head: str | None = None) -> None:
        """Makes nothing: the common file stands since ``install()``."""

    def drop(self, tenant: uuid.UUID, *, force: bool = False) -> Mapping[str, int]:
        with emptying(self, self._server.metadata, tenant) as purge:
            return delete_rows(purge, self._server.metadata)

    def purging(self, tenant: uuid.UUID) -> AbstractContextManager[Purge]:
        return sqlite_purge(self._server, tenant, COMMON, stored=lambda name: name + STORED_SUFFIX)

    def exists(self, tenant: uuid.UUID) -> bool:
        return self._server.common_file.exists()

    def enter(self, tenant: uuid.UUID) -> Binding:
        return Binding(tenant)

    def engine(self, tenant: uuid.UUID) -> Engine:
        return self._server.common_engine()

    def async_engine(self, tenant: uuid.UUID) -> AsyncEngine:
        return self._server.async_common_engine()

    def verify(self, tenant: uuid.UUID) -> list[Finding]:
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            return missing_tables(connection, self._server.metadata, where=f"server {self._server.name}")
