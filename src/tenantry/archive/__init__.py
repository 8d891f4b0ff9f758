"""The archive: one tenant backed up, verified, restored, exported and erased."""

from tenantry.archive.certificates import Certificate
from tenantry.archive.container import Manifest
from tenantry.archive.core import Archive
from tenantry.archive.erasing import Copies, Erasing, Foreseen
from tenantry.archive.export_outcomes import Exported
from tenantry.archive.exporting import export, keep_export
from tenantry.archive.keys import KeyRing
from tenantry.archive.outcomes import Difference, Restored, TableDifference, Verified
from tenantry.archive.retention import Keep
from tenantry.archive.scheduling import Plan
from tenantry.archive.stores import DirectoryStore, ObjectStore, Store, open_store
from tenantry.catalog.archives import Archived

__all__ = [
    "Archive",
    "Archived",
    "Certificate",
    "Copies",
    "Difference",
    "DirectoryStore",
    "Erasing",
    "Exported",
    "Foreseen",
    "Keep",
    "KeyRing",
    "Manifest",
    "ObjectStore",
    "Plan",
    "Restored",
    "Store",
    "TableDifference",
    "Verified",
    "export",
    "keep_export",
    "open_store",
]
