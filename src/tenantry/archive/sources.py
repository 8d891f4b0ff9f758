"""Archives found in the store or on the disk, opened, and poured into a place."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from tenantry.archive.container import ArchiveFile, Manifest, TableEntry, open_archive
from tenantry.archive.places import Writer
from tenantry.archive.shapes import TableDigest, TableShape
from tenantry.archive.stores import parse_archive_name
from tenantry.catalog.operations import Course
from tenantry.errors import (
    ArchiveDamaged,
    ArchiveOfAnother,
    ArchiveUnknown,
    ConfigurationError,
    NoArchive,
    RestoreUnequal,
)

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

LATEST: Final = "latest"
BEFORE: Final = "before:"
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one archive, from the archive itself or from the scratch place where they were migrated."""

    name: str
    manifest: Manifest
    tables: Sequence[TableShape]
    digests: Mapping[str, TableDigest]
    rows: Callable[[TableShape], Iterator[bytes]]

    def pour(self, writer: Writer, course: Course, *, step: str) -> dict[str, int]:
        """Writes every row, and returns how many each table has, once what stands there equals what was read.

        Raises: RestoreUnequal.
        """
        counts = {}
        for number, table in enumerate(self.tables):
            course.tell(f"{step} table", done=number, total=len(self.tables), table=table.name)
            counts[table.name] = writer.fill(table, self.rows(table))
        writer.settle()
        course.tell(f"{step} digests", done=len(self.tables), total=len(self.tables))
        self.compare(writer.digest)
        return counts

    def compare(self, digest: Callable[[TableShape], TableDigest]) -> None:
        """Compares what stands in a place with what it should be, table by table.

        Raises: RestoreUnequal.
        """
        found = ((table.name, self.digests[table.name], digest(table)) for table in self.tables)
        unlike = [_told(name, here, there) for name, here, there in found if here != there]
        if unlike:
            raise RestoreUnequal(name=self.name, found="; ".join(unlike[:_SHOWN]))


def _told(table: str, here: TableDigest, there: TableDigest) -> str:
    if here.rows != there.rows:
        return f"{table} came to {there.rows} rows instead of {here.rows}"
    return f"rows of {table} came to other values"


def source_of(found: ArchiveFile) -> Source:
    """Returns the rows as the archive has them.

    Raises: ArchiveDamaged for tables that contradict themselves.
    """
    manifest = found.manifest
    try:
        tables = [TableShape.from_json(entry.shape) for entry in manifest.tables]
    except ValueError as error:
        raise ArchiveDamaged(name=found.name, reason=f"{error}.") from error
    digests = {entry.name: digest_of(entry) for entry in manifest.tables}
    return Source(found.name, manifest, tables, digests, lambda table: found.rows(table.name))


def digest_of(entry: TableEntry) -> TableDigest:
    """Returns what a table must come to, as the manifest says it."""
    return TableDigest(entry.rows, entry.size, entry.sha256)


def choose(archive: Archive, tenant: uuid.UUID, wanted: str | Path) -> str | Path:
    """Returns the archive that is meant: a file's path, or the name in the store of one of the tenant's.

    Raises: NoArchive, ConfigurationError for a time that cannot be read, and what the store raises.
    """
    if isinstance(wanted, Path):
        return wanted
    if wanted == LATEST or wanted.startswith(BEFORE):
        end = _moment(wanted.removeprefix(BEFORE)) if wanted != LATEST else None
        found = [(at, name) for at, name in _named(archive, tenant) if end is None or at < end]
        if not found:
            said = f"from before {end:%Y-%m-%d %H:%M:%S %Z}" if end else "at all"
            raise NoArchive(store=archive.store, tenant=tenant, wanted=said)
        return max(found)[1]
    return wanted if parse_archive_name(wanted) or not Path(wanted).is_file() else Path(wanted)


@contextlib.contextmanager
def opened(archive: Archive, name: str | Path, *, tenant: uuid.UUID | None = None) -> Iterator[ArchiveFile]:
    """Opens an archive whose signature holds; *tenant* is whose it has to be.

    Raises: ArchiveOfAnother, ArchiveUnknown, and as ``open_archive``.
    """
    with _file(archive, name) as file:
        found = open_archive(file, archive.ring, data_key=archive.data_key, name=str(name), contents=False)
        if tenant is not None and found.manifest.tenant != tenant:
            raise ArchiveOfAnother(name=found.name, owner=found.manifest.tenant, tenant=tenant)
        yield found


def _file(archive: Archive, name: str | Path) -> contextlib.AbstractContextManager[BinaryIO]:
    if not isinstance(name, Path):
        return archive.store.get(name)
    if not name.is_file():
        raise ArchiveUnknown(store="the disk", name=str(name))
    return name.open("rb")


def _named(archive: Archive, tenant: uuid.UUID) -> Iterator[tuple[datetime.datetime, str]]:
    for name in archive.store.names(str(tenant)):
        parsed = parse_archive_name(name)
        if parsed is not None and parsed[0] == tenant:
            yield parsed[1], name


def _moment(text: str) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(what=f"{text!r} is no time.", fix="Write before:2026-11-20T08:00+01:00.") from error
    return found if found.tzinfo else found.astimezone()
