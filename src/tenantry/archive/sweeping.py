"""What crashed backups and verifications left: an archive that stands is listed, everything else of theirs goes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tenantry.archive.importing import relist
from tenantry.archive.operating import taken_up, unfinished
from tenantry.catalog.operations import BACKUP, DONE, FAILED, UNDONE, VERIFY, Course
from tenantry.errors import OperationInProgress

if TYPE_CHECKING:
    from tenantry.archive.core import Archive


def sweep(archive: Archive) -> int:
    """Ends the backups and verifications whose processes are gone, and returns how many there were.

    Restores are not among them: whether one goes on or back is somebody's decision.

    Raises: LoginRequired.
    """
    swept = 0
    for left in unfinished(archive.tenancy, BACKUP, VERIFY):
        elsewhere = left.kind == BACKUP and left.detail.get("store") != archive.location
        if elsewhere or not (left.abandoned or left.state == FAILED):
            continue
        # Somebody else may sweep at the same time.
        with contextlib.suppress(OperationInProgress), taken_up(archive.tenancy, left.id) as course:
            course.end(DONE if finish(archive, course) else UNDONE)
            swept += 1
    return swept


def finish(archive: Archive, course: Course) -> bool:
    """Whether a crashed operation was a backup whose archive stands in the store; the catalog lists it then."""
    name = course.detail.get("archive")
    if course.kind != BACKUP or name is None:
        return False
    if name in archive.store.names(name):
        relist(archive, name)
        return True
    # What a broken put left of it.
    archive.store.delete(name)
    return False
