"""Which seeds have run for which tenant, as the journal has it."""

from __future__ import annotations

import uuid
from typing import Final

from sqlalchemy import Connection, and_, insert, select, text

from tenantry.catalog.holder import this_process
from tenantry.catalog.tables import CATALOG_SCHEMA, journal, now
from tenantry.ids import uuid7

KIND: Final = "seed"


def note(connection: Connection, tenant: uuid.UUID, seed: str) -> None:
    """Notes that a seed has run; noting it again changes nothing."""
    if connection.dialect.name == "postgresql":
        asked = {"id": str(uuid7()), "tenant": str(tenant), "seed": seed, "holder": this_process()}
        call = f"select {CATALOG_SCHEMA}.note_seed(cast(:id as uuid), cast(:tenant as uuid), :seed, :holder)"
        connection.execute(text(call), asked)
    elif seed not in noted(connection, tenant):
        entry = {"kind": KIND, "step": seed, "state": "done", "holder": this_process(), "lease_until": now()}
        connection.execute(insert(journal).values(id=uuid7(), tenant_id=tenant, detail={}, **entry))


def noted(connection: Connection, tenant: uuid.UUID) -> set[str]:
    """Returns the names of the seeds that have run for a tenant."""
    if connection.dialect.name == "postgresql":
        call = text(f"select seed from {CATALOG_SCHEMA}.seeds_of(cast(:tenant as uuid)) as seed")
        return set(connection.execute(call, {"tenant": str(tenant)}).scalars())
    own = and_(journal.c.tenant_id == tenant, journal.c.kind == KIND)
    return set(connection.execute(select(journal.c.step).where(own)).scalars())
