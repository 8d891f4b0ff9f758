"""The doors of the seed, which name no tenant: sessions find theirs in the request, or in what is asked first."""

from __future__ import annotations

import contextlib
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from tenantry.doors import Door
from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.isolation.sqlite import SqliteServer
from tenantry.packs.incidents.base import IncidentsBase
from tenantry.packs.incidents.pack import Incidents
from tenantry.session.aio import AsyncTenantSession

# ``door.use(tenancy)`` leads it into a tenancy of the application's, else the environment says which one it is.
door: Final = Door("incidents", IncidentsBase, make=Incidents)


def get_session() -> contextlib.AbstractAsyncContextManager[AsyncTenantSession]:
    """Opens a session for an ``async with`` block; the caller commits, leaving rolls back the rest.

    It takes the request's tenant, or else that of the first row, identity or statement that names one.

    Raises: TenantRequired for what names no tenant; ConfigurationError where the environment names no database.
    """
    return door.aio.session()


def get_engine() -> AsyncEngine:
    """Returns the engine behind the sessions of tenants with common tables, one for each event loop.

    What runs on it without a session has no tenant, and finds the wall in front of every tenant's rows.

    Raises: ConfigurationError where the environment names no database.
    """
    main: PostgresServer | SqliteServer = door.tenancy.servers.main
    if isinstance(main, PostgresServer):
        return main.async_engine(APP, action="Opening a session", prepared=main.config.prepared_statements)
    return main.async_common_engine()


async def close_db() -> None:
    """Closes every connection; the next session opens new ones."""
    await door.aio.close()
    door.reset()
