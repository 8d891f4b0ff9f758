"""Isolation ``schema``: a PostgreSQL schema for each tenant, found by the search path of its transactions."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import Engine

from tenantry.ids import physical_name
from tenantry.isolation.binding import Binding
from tenantry.isolation.contents import missing_tables
from tenantry.isolation.erasing import (
    PATIENCE,
    check_schema,
    count_locked,
    fits_one_transaction,
    own_tables,
    patiently,
    present_tables,
)
from tenantry.isolation.hooks import bound
from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.isolation.purging import Purge, postgres_purge
from tenantry.isolation.registries import registry_schema
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, quote
from tenantry.types import Finding, Isolation

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_ACTION: Final = "Opening a session"
_DUPLICATE_SCHEMA: Final = "42P06"


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

    def create(self, tenant: uuid.UUID, *, head: str | None = None) -> None:
        self.create_with(tenant, head=head)

    def create_with(
        self, tenant: uuid.UUID, *, head: str | None, first: Sequence[str] = (), then: Sequence[str] = ()
    ) -> bool:
        """Runs *first*, makes the placement and runs *then*, in one transaction; False, and nothing done, if it stands.

        Raises: as ``create``, and psycopg's errors for *first* and *then*.
        """
        script = "; ".join([*first, self._server.blueprint(head).schema(self.place(tenant)), *then])
        try:
            self._server.replay(script, self._path(tenant), action="Creating a tenant's schema")
        except Exception as error:
            if getattr(error, "sqlstate", None) != _DUPLICATE_SCHEMA:
                raise
            return False
        return True

    def drop(self, tenant: uuid.UUID, *, force: bool = False) -> Mapping[str, int]:
        with patiently(tenant), self._dropping() as cursor:
            if not self._stands(cursor, tenant):
                return {}
            if not force:
                check_schema(cursor, self.place(tenant), tenant, self._server.blueprint(None))
            present = present_tables(cursor, self.place(tenant), own_tables(self._server.metadata))
            if fits_one_transaction(cursor, self.place(tenant)):
                counts = count_locked(cursor, self.place(tenant), present, None if force else tenant)
                cursor.execute(self._dropping_statements(tenant))
                return counts
        return self._drop_by_tables(tenant, present, force=force)

    def _drop_by_tables(self, tenant: uuid.UUID, names: list[str], *, force: bool) -> Mapping[str, int]:
        """Drops a schema that is too large for the lock table: all are looked at before the first goes."""
        schema, counts = self.place(tenant), dict[str, int]()
        for last in (False, True):
            for name in reversed(names):
                with patiently(tenant), self._dropping() as cursor:
                    counts |= count_locked(cursor, schema, [name], None if force else tenant)
                    if last:
                        cursor.execute(f"DROP TABLE {schema}.{quote(name)} CASCADE")
        with patiently(tenant), self._dropping() as cursor:
            cursor.execute(self._dropping_statements(tenant))
        return counts

    def _dropping_statements(self, tenant: uuid.UUID) -> str:
        registry = quote(registry_schema(self.place(tenant)))
        return f"DROP SCHEMA {self.place(tenant)} CASCADE; DROP SCHEMA IF EXISTS {registry} CASCADE"

    def _dropping(self) -> AbstractContextManager[Any]:
        return self._server.making(PATIENCE, action="Dropping a tenant's schema")

    def _stands(self, cursor: Any, tenant: uuid.UUID) -> bool:
        question = "select 1 from pg_namespace where nspname = %s"
        return cursor.execute(question, (self.place(tenant),)).fetchone() is not None

    def purging(self, tenant: uuid.UUID) -> AbstractContextManager[Purge]:
        return postgres_purge(self._server, tenant, self._path(tenant))

    def exists(self, tenant: uuid.UUID) -> bool:
        with self._server.making(action="Looking for a tenant's schema") as cursor:
            return self._stands(cursor, tenant)

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
