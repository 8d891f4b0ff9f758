"""Requests: which tenant they are for."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class TenantsDisagree(TenantryError):
    """The request names more than one tenant, or one that its token is not for, so it was bound to none.
    Use a token, a host, a path and headers that all name the same tenant."""
