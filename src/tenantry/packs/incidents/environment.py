"""Incidents where the environment says: the tenancy whose servers, pools and migrations an application uses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from tenantry.packs.incidents.base import IncidentsBase
from tenantry.packs.incidents.behaviours import behaviours_of
from tenantry.settings import config_from_env
from tenantry.tenancy import Tenancy

# The Alembic history of the tables.
MIGRATIONS: Final = str(Path(__file__).parent / "migrations")


def incidents_tenancy() -> Tenancy:
    """Returns a tenancy of incidents as the environment describes it: TENANTRY_URL or DATABASE_URL, DATABASE_POOL_SIZE.

    Raises: ConfigurationError.
    """
    config = dataclasses.replace(config_from_env(), migrations=MIGRATIONS)
    tenancy = Tenancy.from_env(IncidentsBase, config=config)
    behaviours_of(tenancy)
    return tenancy
