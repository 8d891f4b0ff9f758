"""Where an adoption takes place: which database, of whom, and under which key the journal knows it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from tenantry.errors import ConfigurationError
from tenantry.fleet.adopting.ground import Ground
from tenantry.fleet.adopting.plans import Plan, Single
from tenantry.fleet.adopting.postgres import PostgresGround
from tenantry.fleet.adopting.registering import Register
from tenantry.fleet.adopting.sqlite import SqliteGround
from tenantry.fleet.adopting.task import Task
from tenantry.fleet.history import Pace
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import SqliteServer
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant

# The namespace in which the place of an adoption is its key (RFC 9562, version 5).
_PLACES: Final = uuid.UUID("6f2c1f0e-8c1c-5a52-9d6e-5d1b8f1f7a11")


@dataclass(frozen=True)
class Place:
    """One database that is being adopted."""

    id: uuid.UUID
    register: Register
    ground: Ground


def find_place(
    tenancy: Tenancy,
    plan: Plan,
    *,
    server: str,
    source: str | None,
    isolation: Isolation | None,
    pace: Pace,
    batch: int,
    say: Callable[..., None],
) -> Place:
    """Returns where the plan is carried out.

    Raises: ConfigurationError, ServerUnknown, TenantNotFound.
    """
    tenant = tenancy.tenants.get(plan.tenants.tenant) if isinstance(plan.tenants, Single) else None
    found = tenancy.servers.get(tenant.server if tenant else server)
    if isinstance(found, PostgresServer):
        register = Register(tenancy, found.name, Isolation.ROWS, plan.identity)
        database = tenant.physical if tenant else found.database
        task = Task(
            tenancy=tenancy,
            plan=plan,
            server=found,
            database=database,
            tenant=tenant,
            register=register,
            pace=pace,
            batch=batch,
            say=say,
        )
        return Place(_key(found.name, database, tenant), register, PostgresGround(task))
    register = Register(tenancy, found.name, isolation or Isolation.DATABASE, plan.identity)
    path = _file(found, source, tenant)
    ground = SqliteGround(tenancy, plan, found, path=path, tenant=tenant, register=register, say=say)
    return Place(_key(found.name, str(path), tenant), register, ground)


def _file(server: SqliteServer, source: str | None, tenant: Tenant | None) -> Path:
    if source is not None:
        return Path(make_url(source).database or "").resolve()
    if tenant is not None:
        return server.file(tenant.physical)
    raise ConfigurationError(
        what="An SQLite file that is to be adopted was not named.",
        fix="Say Adoption(…, source='sqlite:////path/to/old.db').",
    )


def _key(server: str, place: str, tenant: Tenant | None) -> uuid.UUID:
    return tenant.id if tenant else uuid.uuid5(_PLACES, f"{server}\n{place}")
