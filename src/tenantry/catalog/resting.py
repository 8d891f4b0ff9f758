"""Names that a tenant gave up: they rest while another process may still take one for that tenant's.

A process keeps what it looked up for ``Config.route_ttl`` seconds, and with it what it remembers of the tenant. Who got
the name before that would be taken for the tenant that had it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, and_, delete, insert, select

from tenantry.catalog.tables import journal, moment
from tenantry.errors import IdentityTaken, TenantExists
from tenantry.ids import SLUG_KIND, uuid7

KIND: Final = "name"
RESTING: Final = "resting"
# What was looked up while the change was being committed is kept from a little later on.
_MARGIN: Final = 1.0


def rest(connection: Connection, tenant: uuid.UUID, names: Iterable[tuple[str, str]], *, seconds: float) -> None:
    """Gives slugs and identities of a tenant to nobody else for so many seconds."""
    connection.execute(delete(journal).where(_resting, journal.c.lease_until <= moment(connection)))
    if seconds <= 0:
        return
    said = {"kind": KIND, "tenant_id": tenant, "state": RESTING, "holder": "", "detail": {}}
    for kind, value in names:
        until = moment(connection, seconds + _MARGIN)
        connection.execute(insert(journal).values(id=uuid7(), step=_hidden(kind, value), lease_until=until, **said))


def check_rested(connection: Connection, tenant: uuid.UUID, names: Iterable[tuple[str, str]]) -> None:
    """Lets names pass that no other tenant gave up just now; PostgreSQL's ``register`` does the same.

    Raises: TenantExists, IdentityTaken.
    """
    another = select(journal.c.id).where(
        _resting, journal.c.tenant_id != tenant, journal.c.lease_until > moment(connection)
    )
    for kind, value in names:
        if connection.execute(another.where(journal.c.step == _hidden(kind, value))).first():
            raise TenantExists(slug=value) if kind == SLUG_KIND else IdentityTaken(kind=kind, value=value)


_resting: Final = and_(journal.c.kind == KIND, journal.c.state == RESTING)


def _hidden(kind: str, value: str) -> str:
    # The tenant may be erased by then, and its names with it.
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()
