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


class BackupFiltered(ArchiveError):
    """The rows of tenant {tenant} cannot be read whole: {reason} Nothing was kept of what was read. {fix}"""


class RowRefused(ArchiveError):
    """Table {table}, column {column}, row {key}: {reason}. It cannot be carried without loss, so nothing was. Change
    the row where it stands, then begin again."""


class PlaceUnfit(ArchiveError):
    """The place of tenant {tenant} does not fit its rows: {reason} Nothing was changed. {fix}"""


class ScheduleUnknown(ArchiveError):
    """There is no schedule of backups for {tenant}. List them with `tenantry archive schedule list`."""
