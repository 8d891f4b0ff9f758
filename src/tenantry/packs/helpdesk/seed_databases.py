"""Handles of a company's database, awaited: connect, tables, raw statements, and what kind of database it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tenantry.errors import ConfigurationError
from tenantry.fleet import Fleet
from tenantry.packs.helpdesk.aio import AsyncTicketRepository
from tenantry.packs.helpdesk.base import PLATFORM
from tenantry.packs.helpdesk.legacy import LegacyStore
from tenantry.packs.helpdesk.models import Ticket
from tenantry.packs.helpdesk.seed_config import DatabaseType, HelpdeskSettings, company_key
from tenantry.packs.helpdesk.seed_doors import agreed, door, found_or_made, get_db_manager
from tenantry.session.aio import AsyncTenantSession
from tenantry.types import Isolation, Tenant


class DatabaseHandle:
    """A company's database, not yet connected: calls find the company, and ``connect`` makes it if need be."""

    kind: ClassVar[DatabaseType]

    def __init__(self, tenant_id: str, platform: str) -> None:
        self.tenant_id = tenant_id
        self.platform = platform
        self._tenant: Tenant | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.tenant_id!r}, {self.platform!r})"

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    @property
    def legacy(self) -> LegacyStore:
        """The company's legacy store."""
        return get_db_manager(self.tenant_id, self.platform).legacy

    async def connect(self) -> None:
        """Finds the company, makes it where there is none, and tries its database; doing it again does no harm.

        Raises: as ``get_db_session``; ConfigurationError where it lives in another kind of database.
        """
        self._tenant = await asyncio.to_thread(found_or_made, self.tenant_id, self.platform, kind=self.kind)
        await self.execute_raw("SELECT 1")

    async def disconnect(self) -> None:
        """Forgets the company; connections go back to their pool after each call anyway."""
        self._tenant = None

    close = disconnect

    async def create_tables(self) -> None:
        """Brings the company's tables to where the models are; made with the company, they are there already.

        Raises: as ``connect``; LoginRequired without the owner's login where tables are missing.
        """
        await self.connect()
        try:
            await self.execute_raw("SELECT 1 FROM schema_versions WHERE 1 = 0")
        except DBAPIError:
            # Common tables come from the history, by the owner's login.
            await asyncio.to_thread(lambda: Fleet(door.tenancy).upgrade())

    async def create_tables_in_schema(self, schema_name: str) -> str:  # the document's parameter
        """Returns the schema of its own in which the company's tables stand, made where the company is new.

        Its name is the library's: whatever text *schema_name* holds, none of it reaches the database.

        Raises: ConfigurationError for a company that lives elsewhere; as ``Tenants.create``.
        """
        return await asyncio.to_thread(_schema_of, self.tenant_id, self.platform)

    async def get_tickets(self, limit: int | None = None) -> list[Ticket]:
        """Returns the company's tickets, the latest first.

        Raises: TenantNotFound.
        """
        async with self._session() as session:
            tickets = AsyncTicketRepository(session)
            return await tickets.list(order_by="-created_at", limit=limit)

    async def execute_raw(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Runs one statement within the company's walls, commits, and returns its rows; values are bound by name.

        Raises: TenantNotFound; sqlalchemy.exc.DBAPIError for what the run-time login may not do.
        """
        async with self._session() as session:
            result = await session.execute(text(sql), dict(params or {}))
            rows = [dict(row) for row in result.mappings()] if getattr(result, "returns_rows", False) else []
            await session.commit()
            return rows

    def _session(self) -> Any:
        key = self._tenant or company_key(self.tenant_id, self.platform)
        return _Checked(door.aio.session(key), self.platform)


class _Checked:
    """A session on entering, once it is sure that it is the request's."""

    def __init__(self, opening: Any, platform: str | None) -> None:
        self._opening = opening
        self._platform = platform

    async def __aenter__(self) -> AsyncTenantSession:
        session: AsyncTenantSession = await self._opening.__aenter__()
        try:
            agreed(session.tenant)
        except BaseException:
            await self._opening.__aexit__(None, None, None)
            raise
        session.sync_session.info[PLATFORM] = self._platform
        return session

    async def __aexit__(self, *raised: Any) -> None:
        await self._opening.__aexit__(*raised)


class PostgreSQLDatabase(DatabaseHandle):
    """A company's database on PostgreSQL."""

    kind = DatabaseType.POSTGRESQL


class SQLiteDatabase(DatabaseHandle):
    """A company's database in SQLite."""

    kind = DatabaseType.SQLITE


_KINDS: Final[Mapping[str, type[DatabaseHandle]]] = {
    DatabaseType.POSTGRESQL: PostgreSQLDatabase,
    DatabaseType.SQLITE: SQLiteDatabase,
}


class DatabaseFactory:
    """Makes handles of companies' databases."""

    def __repr__(self) -> str:
        return "DatabaseFactory()"

    def create_database(
        self, tenant_id: str, platform: str, db_type: DatabaseType | str | None = None
    ) -> DatabaseHandle:
        """Returns a company's handle, of one kind of database or else of the installation's; nothing is opened.

        Raises: ConfigurationError for a kind that is none.
        """
        wanted = str(db_type or self.detect())
        if wanted not in _KINDS:
            raise ConfigurationError(what=f"{wanted!r} is no kind of database.", fix="Choose sqlite or postgresql.")
        return _KINDS[wanted](tenant_id, platform)

    def detect(self) -> DatabaseType:
        """Returns the kind of the installation's main server, or where none is open yet, what DATABASE_TYPE says.

        Raises: ConfigurationError.
        """
        if door.opened:
            return DatabaseType(door.tenancy.servers.main.kind)
        return HelpdeskSettings.from_env().database_type


def get_database(tenant_id: str, platform: str) -> DatabaseHandle:
    """Returns the handle of a company's database, which is not connected yet."""
    return DatabaseFactory().create_database(tenant_id, platform)


def _schema_of(tenant_id: str, platform: str) -> str:
    kind = DatabaseType.POSTGRESQL
    return found_or_made(tenant_id, platform, kind=kind, isolation=Isolation.SCHEMA).physical
