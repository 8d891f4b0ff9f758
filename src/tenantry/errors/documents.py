"""The pack of documents: versions and walks through the graph."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class VersionConflict(TenantryError):
    """The document is at version {found} by now, not at {expected}. Look at it again, and repeat the change
    on that."""


class InvalidDepth(TenantryError, ValueError):
    """A walk through the graph goes 1 to {limit} steps, not {asked}. Give max_depth within that."""


class DropRefused(TenantryError):
    """The database {name!r} was not dropped: its name does not match {pattern!r}, by which test databases are known.
    Give it such a name, or drop it yourself."""


class NotInitialized(TenantryError, RuntimeError):
    """DatabaseManager not initialized. Call DatabaseManager.initialize(conn_config) before sessions and repositories
    are used."""
