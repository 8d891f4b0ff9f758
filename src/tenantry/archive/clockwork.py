"""The schedules of one archive: what a turn of theirs does is a backup, a verification if asked for, and pruning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.archive.pruning import prune
from tenantry.archive.scheduling import Plan, Schedules
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.archive.core import Archive


def schedules_of(archive: Archive) -> Schedules:
    """Returns the schedules of backups to an archive's store."""

    def take(tenant: Tenant, plan: Plan) -> str:
        archived = archive.backup(tenant)
        if plan.verify:
            archive.verify(archived.name)
        if plan.keep is not None:
            prune(archive, plan.keep, tenant.id)
        return archived.name

    return Schedules(archive.tenancy, archive.location, take)
