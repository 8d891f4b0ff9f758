"""The tenants' own data keys as the catalog has them: wrapped, never bare; and for ever gone once destroyed."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, func, insert, select, text, update

from tenantry.catalog.tables import archives, meta, now, tenant_keys

CURRENT: Final = "current"
RETIRED: Final = "retired"
DESTROYED: Final = "destroyed"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """One data key: *wrapped* opens only by the key ring, and is None once the key was destroyed."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    state: str
    wrapped: str | None
    created_at: datetime.datetime
    destroyed_at: datetime.datetime | None


def current(connection: Connection, tenant: uuid.UUID) -> WrappedKey | None:
    """Returns the key that a tenant's next archive is encrypted under, or None where it has none yet."""
    found = _keys(connection, and_(tenant_keys.c.tenant_id == tenant, tenant_keys.c.state == CURRENT))
    return found[0] if found else None


def get(connection: Connection, tenant: uuid.UUID, key: uuid.UUID) -> WrappedKey | None:
    """Returns one key of a tenant, or None where there is no such key."""
    found = _keys(connection, and_(tenant_keys.c.tenant_id == tenant, tenant_keys.c.id == key))
    return found[0] if found else None


def listing(connection: Connection, tenant: uuid.UUID | None = None) -> list[WrappedKey]:
    """Returns a tenant's keys, or everybody's, the newest first."""
    return _keys(connection, tenant_keys.c.tenant_id == tenant if tenant is not None else True)


def use_from_now_on(connection: Connection, tenant: uuid.UUID, key: uuid.UUID, wrapped: str) -> None:
    """Makes a new key the tenant's current one; the one before stays, for the archives under it."""
    _one_at_a_time(connection)
    before = and_(tenant_keys.c.tenant_id == tenant, tenant_keys.c.state == CURRENT)
    connection.execute(update(tenant_keys).where(before).values(state=RETIRED))
    connection.execute(insert(tenant_keys).values(id=key, tenant_id=tenant, state=CURRENT, wrapped=wrapped))


def use_unless_there_is_one(connection: Connection, tenant: uuid.UUID, key: uuid.UUID, wrapped: str) -> WrappedKey:
    """Returns the tenant's current key, which is the given one where it had none."""
    _one_at_a_time(connection)
    found = current(connection, tenant)
    if found is not None:
        return found
    use_from_now_on(connection, tenant, key, wrapped)
    return _keys(connection, tenant_keys.c.id == key)[0]


def rewrap(connection: Connection, key: WrappedKey, wrapped: str) -> bool:
    """Replaces what a key is wrapped in, unless it was destroyed or replaced meanwhile."""
    seen = and_(tenant_keys.c.id == key.id, tenant_keys.c.wrapped == key.wrapped)
    return bool(connection.execute(update(tenant_keys).where(seen).values(wrapped=wrapped)).rowcount)


def destroy(connection: Connection, tenant: uuid.UUID, keys: Collection[uuid.UUID] | None = None) -> int:
    """Destroys some keys of a tenant, or all of them, and returns how many that were: nothing under them opens again.

    What the catalog's own database, its log and its backups still hold of them opens only by the key ring.
    """
    if connection.dialect.name == "sqlite":
        # Freed pages would keep what stood on them.
        connection.execute(text("PRAGMA secure_delete = ON"))
    doomed = and_(tenant_keys.c.tenant_id == tenant, tenant_keys.c.wrapped.is_not(None))
    if keys is not None:
        doomed = and_(doomed, tenant_keys.c.id.in_(keys))
    gone = {"state": DESTROYED, "wrapped": None, "destroyed_at": now()}
    return connection.execute(update(tenant_keys).where(doomed).values(**gone)).rowcount


def archives_under(connection: Connection, keys: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Returns how many archives are encrypted under each of some keys."""
    counted = select(archives.c.key_id, func.count()).where(archives.c.key_id.in_(keys)).group_by(archives.c.key_id)
    return {row[0]: row[1] for row in connection.execute(counted)}


def _one_at_a_time(connection: Connection) -> None:
    # As in warming.enter(): two that make a first key at once wait for each other here.
    connection.execute(select(meta.c.value).where(meta.c.name == "version").with_for_update())


def _keys(connection: Connection, wanted: Any) -> list[WrappedKey]:
    newest = select(tenant_keys).where(wanted).order_by(tenant_keys.c.created_at.desc(), tenant_keys.c.id.desc())
    return [WrappedKey(**row._mapping) for row in connection.execute(newest)]
