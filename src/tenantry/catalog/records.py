"""What the catalog's tables say of tenants, alike on both databases; the caller owns the connection's transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tenantry.catalog.lifecycle import before, check_step
from tenantry.catalog.resting import check_rested, rest
from tenantry.catalog.tables import (
    fleet_work,
    identities,
    meta,
    placements,
    servers,
    tenants,
)
from tenantry.errors import IdentityTaken, TenantExists
from tenantry.ids import SLUG_KIND
from tenantry.types import Isolation, Tenant, TenantStatus


def catalog_version(connection: Connection) -> int:
    """Returns the catalog's version, read from its table."""
    return int(connection.execute(select(meta.c.value).where(meta.c.name == "version")).scalar_one())


def listing(connection: Connection, *, after: uuid.UUID | None, limit: int, erased: bool = False) -> list[Tenant]:
    """Returns up to *limit* tenants in order of their identifiers, starting behind *after*."""
    statement = placed().order_by(tenants.c.id).limit(limit)
    if after is not None:
        statement = statement.where(tenants.c.id > after)
    if not erased:
        statement = statement.where(tenants.c.status != TenantStatus.ERASED)
    return [tenant_in(row._mapping) for row in connection.execute(statement)]


def set_status(connection: Connection, tenant: Tenant, wanted: TenantStatus) -> None:
    """Takes one step of the lifecycle, as one statement.

    Raises: LifecycleError when the tenant is not where the step starts.
    """
    legal = and_(tenants.c.id == tenant.id, tenants.c.status.in_(before(wanted)))
    if not connection.execute(update(tenants).where(legal).values(status=wanted)).rowcount:
        status = connection.execute(select(tenants.c.status).where(tenants.c.id == tenant.id)).scalar_one()
        check_step(tenant.id, TenantStatus(status), wanted)


def rename(connection: Connection, tenant: Tenant, *, slug: str, name: str, rests: float) -> None:
    """Gives a tenant another slug and name; the old slug rests for so many seconds.

    Raises: TenantExists when the slug is taken, or rests.
    """
    try:
        connection.execute(update(tenants).where(tenants.c.id == tenant.id).values(slug=slug, name=name))
    except IntegrityError as error:
        raise TenantExists(slug=slug) from error
    if slug != tenant.slug:
        check_rested(connection, tenant.id, [(SLUG_KIND, slug)])
        rest(connection, tenant.id, [(SLUG_KIND, tenant.slug)], seconds=rests)


def add_identity(connection: Connection, tenant: Tenant, kind: str, value: str) -> None:
    """Lets one more outside name find a tenant.

    Raises: IdentityTaken.
    """
    try:
        connection.execute(insert(identities).values(kind=kind, value=value, tenant_id=tenant.id))
    except IntegrityError as error:
        raise IdentityTaken(kind=kind, value=value) from error
    check_rested(connection, tenant.id, [(kind, value)])


def identities_of(connection: Connection, tenant: Tenant) -> list[tuple[str, str]]:
    """Returns the outside names that find a tenant."""
    found = select(identities.c.kind, identities.c.value).where(identities.c.tenant_id == tenant.id)
    return [(row.kind, row.value) for row in connection.execute(found.order_by(*found.selected_columns))]


def close(connection: Connection, tenant: Tenant, *, rests: float) -> None:
    """Takes a tenant to where it is erased; its names rest for so many seconds, as long as it is remembered elsewhere.

    Raises: LifecycleError.
    """
    set_status(connection, tenant, TenantStatus.ERASING)
    rest(connection, tenant.id, [(SLUG_KIND, tenant.slug), *identities_of(connection, tenant)], seconds=rests)


def bury(connection: Connection, tenant: Tenant) -> None:
    """Leaves of an erased tenant only its identifier, so that it is never given out again; names become free."""
    connection.execute(delete(identities).where(identities.c.tenant_id == tenant.id))
    # What the database said of it may hold its names.
    connection.execute(update(fleet_work).where(fleet_work.c.tenant_id == tenant.id).values(error=None))
    gone = {"slug": f"erased-{tenant.id.hex}", "name": "", "settings": {}}
    connection.execute(update(tenants).where(tenants.c.id == tenant.id).values(**gone))


def note_server(connection: Connection, *, name: str, kind: str, location: str) -> None:
    """Records that a server exists; *location* never holds a password."""
    if connection.execute(update(servers).where(servers.c.name == name).values(kind=kind, location=location)).rowcount:
        return
    connection.execute(insert(servers).values(name=name, kind=kind, location=location))


def placed() -> Any:
    """Returns the question for tenants, each with where it is placed now."""
    here = and_(placements.c.tenant_id == tenants.c.id, placements.c.epoch == tenants.c.epoch)
    place = (placements.c.server, placements.c.isolation, placements.c.physical, placements.c.epoch)
    columns = (tenants.c.id, tenants.c.slug, tenants.c.name, tenants.c.status, tenants.c.settings, *place)
    return select(*columns).join(placements, here)


def found_by(kind: str, value: str) -> Any:
    """Returns the condition by which an identifier, a slug or an identity finds its tenant."""
    if kind == "id":
        return tenants.c.id == uuid.UUID(value)
    if kind == "slug":
        return tenants.c.slug == value
    named = and_(identities.c.kind == kind, identities.c.value == value)
    return tenants.c.id == select(identities.c.tenant_id).where(named).scalar_subquery()


def tenant_in(row: Mapping[Any, Any]) -> Tenant:
    """Returns the tenant that a row of that question tells of."""
    settings = row["settings"]
    return Tenant(
        id=row["id"],
        slug=row["slug"],
        name=row["name"],
        status=TenantStatus(row["status"]),
        isolation=Isolation(row["isolation"]),
        server=row["server"],
        physical=row["physical"],
        epoch=row["epoch"],
        settings=json.loads(settings) if isinstance(settings, str) else settings,
    )
