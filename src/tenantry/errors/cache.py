"""Kept results."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class CacheRefused(TenantryError):
    """The result {what!r} holds {kind}, which cannot be kept: objects of a session belong to it alone.
    Give plain values: texts, numbers, times, UUIDs, lists and dicts; of an object its to_dict()."""

    what: str
    kind: str


class CacheUnavailable(TenantryError):
    """The store of kept results does not answer ({reason}) Nothing was committed, since old results would have stayed.
    Wait and try again, or pass Cache(stale_when_down=True) to let writes through at that price."""

    reason: str
