"""Isolation ``schema``: a PostgreSQL schema for each tenant, found by the search path of its transactions."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sqlalchemy.engine import Engine

from tenantry.ids import physical_name
from tenantry.isolation.binding import Binding
from tenantry.isolation.contents import count_rows, missing_tables
from tenantry.isolation.hooks import bound
from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.isolation.wall import EXTENSIONS_SCHEMA
from tenantry.types import Finding, Isolation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_ACTION: Final = "Opening a session"


class PostgresSchema:
    """Schemas named after tenants' identifiers, all served by one pool."""

    isolation = Isolation.SCHEMA

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    @property
    def walled(self) -> bool:
        # Made with its walls, in one transaction.
        return True

    def place(self, tenant: uuid.UUID) -> str:
        return physical_name(tenant)

    def create(self, tenant: uuid.UUID) -> None:
        if self.exists(tenant):
            # One transaction makes the schema whole or not at all.
            return
        name, config = self.place(tenant), self._server.config
        roles = f"{config.role('app')}, {config.role('operator')}"
        statements = [
            f"CREATE SCHEMA {name}",
            f"GRANT USAGE ON SCHEMA {name} TO {roles}",
            f"SET LOCAL {self._path(tenant)}",
            *self._server.own_tables_statements(self._server.capabilities()),
        ]
        with self._server.owner(action="Creating a tenant's schema") as connection, connection.transaction():
            connection.execute("; ".join(statements))

    def drop(self, tenant: uuid.UUID) -> Mapping[str, int]:
        if not self.exists(tenant):
            return {}
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            counts = count_rows(connection, self._server.metadata)
        with self._server.owner(action="Dropping a tenant's schema") as connection:
            connection.execute(f"DROP SCHEMA {self.place(tenant)} CASCADE")
        return counts

    def exists(self, tenant: uuid.UUID) -> bool:
        question = "select 1 from pg_namespace where nspname = %s"
        with self._server.owner(action="Looking for a tenant's schema") as connection:
            return connection.execute(question, (self.place(tenant),)).fetchone() is not None

    def enter(self, tenant: uuid.UUID) -> Binding:
        # A plan kept for one schema does not fit another while a fleet is mixed (HAZARDS B11).
        return self._server.tenant_binding(tenant, self._path(tenant), prepared=False)

    def engine(self, tenant: uuid.UUID) -> Engine:
        return self._server.engine(APP, action=_ACTION)

    def async_engine(self, tenant: uuid.UUID) -> AsyncEngine:
        return self._server.async_engine(APP, action=_ACTION, prepared=False)

    def verify(self, tenant: uuid.UUID) -> list[Finding]:
        with bound(self.engine(tenant), self.enter(tenant)) as connection:
            return missing_tables(connection, self._server.metadata, where=f"schema {self.place(tenant)}")

    def _path(self, tenant: uuid.UUID) -> str:
        return f"search_path = {self.place(tenant)}, {EXTENSIONS_SCHEMA}, pg_temp"
