"""The archive: backups, restores, exports, erasures."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class ArchiveError(TenantryError):
    """The archive: {what} {fix}"""
