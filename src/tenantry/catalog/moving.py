"""Where a tenant lives, changed: each place it moves to has an epoch of its own, and the newest one counts."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from tenantry.catalog.tables import placements, tenants
from tenantry.types import Tenant


def switch(connection: Connection, place: Tenant) -> bool:
    """Records that the tenant lives at *place* from its epoch on; False where it has gone elsewhere meanwhile.

    Doing it again changes nothing.
    """
    reached = connection.execute(select(tenants.c.epoch).where(tenants.c.id == place.id).with_for_update()).scalar_one()
    if reached != place.epoch - 1:
        return reached == place.epoch and connection.execute(select(placements).where(_is(place))).first() is not None
    # One that it comes back to has a row of an older epoch.
    connection.execute(delete(placements).where(_is(place, any_epoch=True)))
    where = {"server": place.server, "isolation": place.isolation, "physical": place.physical}
    connection.execute(insert(placements).values(tenant_id=place.id, epoch=place.epoch, **where))
    connection.execute(update(tenants).where(tenants.c.id == place.id).values(epoch=place.epoch))
    return True


def leave(connection: Connection, place: Tenant) -> None:
    """Strikes a place out that the tenant does not live in any more."""
    lives = select(tenants.c.id).where(tenants.c.id == place.id, tenants.c.epoch == place.epoch).exists()
    connection.execute(delete(placements).where(_is(place), ~lives))


def _is(place: Tenant, *, any_epoch: bool = False) -> ColumnElement[bool]:
    spot = (placements.c.server == place.server, placements.c.isolation == place.isolation)
    found = and_(placements.c.tenant_id == place.id, *spot, placements.c.physical == place.physical)
    return found if any_epoch else and_(found, placements.c.epoch == place.epoch)
