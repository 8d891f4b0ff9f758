"""The archive file: its frame, its manifest, its signature and its encryption. See docs/archive-format.md."""

from __future__ import annotations

from tenantry.archive.container.framing import Header, Limits
from tenantry.archive.container.manifest import Manifest, TableEntry
from tenantry.archive.container.measuring import Measured
from tenantry.archive.container.reading import ArchiveFile, DataKeys, open_archive
from tenantry.archive.container.writing import ArchiveWriter, write_archive

__all__ = [
    "ArchiveFile",
    "ArchiveWriter",
    "DataKeys",
    "Header",
    "Limits",
    "Manifest",
    "Measured",
    "TableEntry",
    "open_archive",
    "write_archive",
]
