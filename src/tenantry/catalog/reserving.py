"""A tenant that a restore makes: its names taken before its rows come, opened after them, or struck out again."""

from __future__ import annotations

from sqlalchemy import Connection, delete

from tenantry.catalog.store import PostgresStore, SqliteStore, Store
from tenantry.catalog.tables import journal
from tenantry.types import Tenant


def reserve(connection: Connection, tenant: Tenant, *, ceiling: int | None) -> None:
    """Registers a tenant that gets no sessions yet; no creation takes it for one of its own that crashed.

    Raises: TenantExists, TenantLimitReached.
    """
    _store(connection).register(connection, tenant, names=(), ceiling=ceiling)
    connection.execute(delete(journal).where(journal.c.id == tenant.id, journal.c.kind == "create"))


def let_in(connection: Connection, tenant: Tenant) -> bool:
    """Opens a reserved tenant; False where it is open already, or gone."""
    return _store(connection).activate(connection, tenant.id)


def strike_out(connection: Connection, tenant: Tenant) -> bool:
    """Forgets a reserved tenant; False where it is open by now, or gone."""
    return _store(connection).discard(connection, tenant.id)


def _store(connection: Connection) -> Store:
    return PostgresStore() if connection.dialect.name == "postgresql" else SqliteStore()
