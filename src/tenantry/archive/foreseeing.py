"""What a backup or a restore would do: looked at to the last row, and nothing changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.archive.backing import check_listed, check_status
from tenantry.archive.importing import archived_as
from tenantry.archive.places import reading
from tenantry.archive.sources import LATEST, choose, opened
from tenantry.archive.stores import archive_name
from tenantry.catalog.archives import Archived
from tenantry.errors import ArchiveUnknown
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.archive.core import Archive


@dataclass(frozen=True, slots=True)
class Foreseen:
    """How many rows each table has, and how large their canonical text is together."""

    tables: Mapping[str, int]
    size: int

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(self.tables.values())


@dataclass(frozen=True, slots=True)
class ForeseenRestore:
    """What an archive holds, and how many rows stand where it would go."""

    name: str
    owner: uuid.UUID
    taken_at: datetime
    revision: str | None
    archived: Mapping[str, int]
    standing: Mapping[str, int]


def backup_of(archive: Archive, tenant: Tenant, *, suspended: bool) -> Foreseen:
    """Returns what a backup would hold, having read it as a backup does.

    Raises: BackupRefused, TablesLeftOut, BackupFiltered, LoginRequired.
    """
    check_status(tenant, suspended=suspended)
    check_listed(archive, tenant)
    with reading(archive.tenancy, tenant) as reader:
        digests = {table.name: reader.digest(table) for table in reader.tables}
    return Foreseen({name: each.rows for name, each in digests.items()}, sum(each.size for each in digests.values()))


def restore_of(
    archive: Archive, tenant: uuid.UUID, wanted: str | Path = LATEST, *, here: Tenant | None
) -> ForeseenRestore:
    """Returns what a restore would read, once its signature holds; *here* is the place whose rows would be replaced.

    Raises: NoArchive, ArchiveOfAnother, ArchiveDamaged, ArchiveForeign, ArchiveSealed, BackupFiltered, LoginRequired.
    """
    name = choose(archive, tenant, wanted)
    with opened(archive, name, tenant=tenant) as found:
        manifest = found.manifest
    standing: dict[str, int] = {}
    if here is not None:
        with reading(archive.tenancy, here) as reader:
            standing = {table.name: reader.digest(table).rows for table in reader.tables}
    return ForeseenRestore(
        name=str(name),
        owner=manifest.tenant,
        taken_at=manifest.taken_at,
        revision=manifest.revision,
        archived={table.name: table.rows for table in manifest.tables},
        standing=standing,
    )


def import_of(archive: Archive, path: Path) -> Archived:
    """Returns what the catalog would say of an archive on the disk, once its signature holds.

    Raises: ArchiveUnknown, ArchiveForeign, ArchiveDamaged, ArchiveKeyMissing.
    """
    if not path.is_file():
        raise ArchiveUnknown(store="the disk", name=str(path))
    with opened(archive, path) as found:
        found.check()
        name = archive_name(found.manifest.tenant, found.manifest.taken_at)
        return archived_as(archive, name, found, size=path.stat().st_size)
