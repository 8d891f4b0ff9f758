"""Search among a tenant's rows."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class SearchTextRefused(TenantryError, ValueError):
    """That cannot be searched for: {reason} Nothing was asked."""

    reason: str


class SearchNotReady(TenantryError):
    """{table} has no search in this place yet: it was made after the place was, or a migration took it down. Run
    Search.install() with the owner's login, or `op.search("{table}")` in a revision."""

    table: str
