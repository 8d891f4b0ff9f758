"""What the helpdesk refuses: a migration of one company's own rows that leads nowhere."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class MigrationScriptMissing(TenantryError, LookupError):
    """There is no migration of a company's rows from {before} to {after}. Register one, or name versions it joins."""


class VersionUnlike(TenantryError):
    """The company's rows are at version {present}, not at {before}, so nothing was changed. Begin where they are."""
