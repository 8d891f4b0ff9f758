"""An archive that came from elsewhere, or whose backup was killed before it was recorded: checked, kept, listed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.archive.backing import archived_of, record
from tenantry.archive.container import ArchiveFile
from tenantry.archive.operating import under_way
from tenantry.archive.sources import opened
from tenantry.archive.stores import archive_name
from tenantry.catalog.archives import Archived
from tenantry.catalog.operations import BACKUP

if TYPE_CHECKING:
    from tenantry.archive.core import Archive


def import_archive(archive: Archive, path: Path) -> Archived:
    """Puts the file into the store and returns what the catalog says of it; its tenant need not be known here.

    Raises: as ``opened`` and the store.
    """
    with opened(archive, path) as found:
        found.check()
        name = archive_name(found.manifest.tenant, found.manifest.taken_at)
        with under_way(archive.tenancy, BACKUP, found.manifest.tenant, store=archive.location) as course:
            course.step("store", archive=name)
            archive.store.put(name, path)
            archived = archived_as(archive, name, found, size=path.stat().st_size)
            course.step("record")
            record(archive, archived)
    return archived


def relist(archive: Archive, name: str) -> Archived:
    """Has the catalog list an archive that stands in the store, once its signature holds.

    Raises: as ``opened``.
    """
    with opened(archive, name) as found, archive.store.get(name) as file:
        archived = archived_as(archive, name, found, size=file.seek(0, 2))
    record(archive, archived)
    return archived


def archived_as(archive: Archive, name: str, found: ArchiveFile, *, size: int) -> Archived:
    """Returns what the catalog says of an open archive under a name in the store."""
    return archived_of(archive, name, found.manifest, size=size, key=found.header.data_key)
