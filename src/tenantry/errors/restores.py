"""Backups that were not taken, and restores that changed nothing."""

from __future__ import annotations

import uuid

from tenantry.errors.archives import ArchiveError
from tenantry.errors.tenants import TenantUnavailable


class BackupRefused(ArchiveError, TenantUnavailable):
    """Tenant {tenant} is {status}, so no backup of it was taken. {next_step}"""

    tenant: uuid.UUID


class TablesLeftOut(ArchiveError):
    """Tenant {tenant} has rows that no model knows of, so nothing was written: {found}. Add those tables to the models,
    or drop them."""


class NoArchive(ArchiveError, LookupError):
    """The store {store} holds no archive of tenant {tenant} {wanted}. List what there is with
    `tenantry archive list`."""


class ArchiveOfAnother(ArchiveError):
    """Archive {name!r} is of tenant {owner}, not of {tenant}, so nothing was done. Give the tenant that it is of; its
    rows go to another one only as a new tenant, with into=. Check which of the two was meant."""


class RestoreRefused(ArchiveError):
    """Nothing of archive {name!r} was restored to tenant {tenant}: {reason}"""


class PlaceNotEmpty(RestoreRefused):
    """Nothing of archive {name!r} was restored to tenant {tenant}: it has rows already, {found}. Pass
    in_place=True to replace them, or into= to restore to a new tenant."""


class TablesUnlike(ArchiveError):
    """The tables of archive {name!r} are not those of {place}: {reason} Nothing was changed. Bring the place to the
    revision of the archive or beyond, or keep the migrations between the two."""


class RestoreUnequal(ArchiveError):
    """What was restored of archive {name!r} is not what it holds: {found}. Nothing was changed. Verify the archive; if
    it is well, look for triggers on these tables."""
