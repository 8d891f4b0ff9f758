"""The tenants' own data keys: made, found, replaced, destroyed; they stand in the catalog, wrapped by the key ring."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tenantry.archive.keys import DataKey, KeyRing, wrapped_under
from tenantry.catalog import data_keys
from tenantry.catalog.data_keys import WrappedKey
from tenantry.isolation.sqlite import CATALOG, SqliteServer
from tenantry.isolation.sqlite_library import LibraryConnection
from tenantry.tenancy import Tenancy

_ACTION: Final = "Keeping data keys"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What may be told of a data key: whose it is, since when, under which key of the ring, and for how many archives.

    *under* is None once the key was destroyed.
    """

    id: uuid.UUID
    tenant: uuid.UUID
    state: str
    created_at: datetime
    destroyed_at: datetime | None
    under: str | None
    archives: int


class DataKeys:
    """The data keys of one installation; the catalog holds them wrapped, and nothing else does."""

    def __init__(self, tenancy: Tenancy, ring: KeyRing) -> None:
        self._tenancy = tenancy
        self._ring = ring

    def __repr__(self) -> str:
        return f"DataKeys({self._ring!r})"

    def current(self, tenant: uuid.UUID) -> DataKey:
        """Returns the key for a tenant's next archive, made now where it has none.

        Raises: LoginRequired, ArchiveKeyMissing where the ring lacks the key around it.
        """
        with self._tenancy.catalog(_ACTION) as connection:
            found = data_keys.current(connection, tenant)
            if found is None:
                fresh = DataKey.new()
                wrapped = self._ring.wrap(fresh, tenant=tenant)
                found = data_keys.use_unless_there_is_one(connection, tenant, uuid.UUID(fresh.id), wrapped)
        return self._unwrapped(found)

    def get(self, tenant: uuid.UUID, key: uuid.UUID | str) -> DataKey | None:
        """Returns one key of a tenant, or None where it was destroyed or never was.

        Raises: LoginRequired, ArchiveKeyMissing.
        """
        with self._tenancy.catalog(_ACTION) as connection:
            found = data_keys.get(connection, tenant, uuid.UUID(str(key)))
        return None if found is None or found.wrapped is None else self._unwrapped(found)

    def rotate(self, tenant: uuid.UUID) -> DataKey:
        """Returns a new key, under which a tenant's archives are written from now on; older ones still open.

        Raises: LoginRequired.
        """
        fresh = DataKey.new()
        with self._tenancy.catalog(_ACTION) as connection:
            wrapped = self._ring.wrap(fresh, tenant=tenant)
            data_keys.use_from_now_on(connection, tenant, uuid.UUID(fresh.id), wrapped)
        return fresh

    def destroy(self, tenant: uuid.UUID, keys: Collection[uuid.UUID] | None = None) -> int:
        """Destroys some keys of a tenant, or all, and returns how many: no archive under them is ever read again.

        Raises: LoginRequired.
        """
        with self._tenancy.catalog(_ACTION) as connection:
            destroyed = data_keys.destroy(connection, tenant, keys)
        main = self._tenancy.servers.main
        if isinstance(main, SqliteServer):
            empty_log(main.file(CATALOG))
        return destroyed

    def rewrap(self, told: Callable[[int, int], None] | None = None) -> int:
        """Wraps every key by the ring's current one and returns how many were not; the others of the ring may go then.

        Raises: LoginRequired, ArchiveKeyMissing.
        """
        with self._tenancy.catalog(_ACTION) as connection:
            standing = [key for key in data_keys.listing(connection) if key.wrapped is not None]
        old = [key for key in standing if wrapped_under(key.wrapped or "") != self._ring.current]
        for done, key in enumerate(old):
            if told is not None:
                told(done, len(old))
            wrapped = self._ring.wrap(self._unwrapped(key), tenant=key.tenant_id)
            with self._tenancy.catalog(_ACTION) as connection:
                data_keys.rewrap(connection, key, wrapped)
        return len(old)

    def _unwrapped(self, key: WrappedKey) -> DataKey:
        return self._ring.unwrap(key.wrapped or "", tenant=key.tenant_id, key_id=str(key.id))


def empty_log(file: Path) -> bool:
    """Writes a SQLite file's log into it and empties the log, which keeps what was overwritten; False while in use."""
    with contextlib.closing(sqlite3.connect(file, factory=LibraryConnection, isolation_level=None)) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def key_facts(tenancy: Tenancy, tenant: uuid.UUID | None = None) -> list[KeyFacts]:
    """Returns what the catalog says of a tenant's data keys, or of everybody's, the newest first; no ring is needed.

    Raises: LoginRequired.
    """
    with tenancy.catalog(_ACTION) as connection:
        found = data_keys.listing(connection, tenant)
        counts = data_keys.archives_under(connection, [key.id for key in found])
    return [_facts(key, counts.get(key.id, 0)) for key in found]


def _facts(key: WrappedKey, archives: int) -> KeyFacts:
    return KeyFacts(
        id=key.id,
        tenant=key.tenant_id,
        state=key.state,
        created_at=key.created_at,
        destroyed_at=key.destroyed_at,
        under=wrapped_under(key.wrapped) if key.wrapped else None,
        archives=archives,
    )
