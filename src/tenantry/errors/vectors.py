"""Vectors and the search among them."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class VectorRefused(TenantryError, ValueError):
    """{what} cannot be kept or searched for: {reason} Nothing was written."""

    what: str
    reason: str


class SearchRefused(TenantryError, ValueError):
    """A search cannot be narrowed by {what}: {reason} Give where= a dict of plain names, each with a text, a number, a
    boolean or None, or a list of such."""

    what: str
    reason: str
