"""Slugs that a tenant gave up: they rest while another process may still take one for that tenant's.

A process keeps what it looked up for ``Config.route_ttl`` seconds. Who got the slug before that would be shown the
rows of the tenant that had it.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

from sqlalchemy import Connection, and_, delete, insert, select

from tenantry.catalog.tables import journal, moment
from tenantry.errors import TenantExists
from tenantry.ids import uuid7
from tenantry.types import Tenant

KIND: Final = "slug"
RESTING: Final = "resting"
# What was looked up while the change was being committed is kept from a little later on.
_MARGIN: Final = 1.0


def rest(connection: Connection, tenant: Tenant, *, seconds: float) -> None:
    """Gives the slug of a tenant to nobody else for so many seconds."""
    over = and_(_resting, journal.c.lease_until <= moment(connection))
    connection.execute(delete(journal).where(over))
    if seconds > 0:
        until = moment(connection, seconds + _MARGIN)
        said = {"step": _hidden(tenant.slug), "state": RESTING, "holder": "", "lease_until": until, "detail": {}}
        connection.execute(insert(journal).values(id=uuid7(), kind=KIND, tenant_id=tenant.id, **said))


def check_rested(connection: Connection, tenant: uuid.UUID, slug: str) -> None:
    """Lets a slug pass that no other tenant gave up just now; PostgreSQL's ``register`` does the same.

    Raises: TenantExists.
    """
    another = and_(_resting, journal.c.step == _hidden(slug), journal.c.tenant_id != tenant)
    if connection.execute(select(journal.c.id).where(another, journal.c.lease_until > moment(connection))).first():
        raise TenantExists(slug=slug)


def forget(connection: Connection, tenant: uuid.UUID) -> None:
    """Lets go of what an erased tenant gave up: there is nothing of it to be shown."""
    connection.execute(delete(journal).where(_resting, journal.c.tenant_id == tenant))


_resting: Final = and_(journal.c.kind == KIND, journal.c.state == RESTING)


def _hidden(slug: str) -> str:
    # The tenant may be erased meanwhile, and its names with it.
    return hashlib.sha256(slug.encode()).hexdigest()
