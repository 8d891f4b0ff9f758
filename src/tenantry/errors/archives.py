"""The archive: backups, restores, exports, erasures."""

from __future__ import annotations

from tenantry.errors.base import TenantryError


class ArchiveError(TenantryError):
    """The archive: {what} {fix}"""


class OperationInProgress(TenantryError):
    """Tenant {tenant} has a {kind} in hand, or one that stopped at step {step}: operation {operation}. Wait until it
    has ended; if its process is gone, resume it or roll it back."""


class OperationLost(TenantryError):
    """Operation {operation} was taken up by another process, so this one has stopped. Look at its status there."""


class OperationUnknown(TenantryError):
    """The journal has no operation {operation}. List what it has with the status of backups, restores or moves."""
