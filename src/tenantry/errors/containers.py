"""Archive files, the keys they are signed and sealed with, and the stores they lie in."""

from __future__ import annotations

from tenantry.errors.archives import ArchiveError


class ArchiveDamaged(ArchiveError):
    """Archive {name!r} is not what was once written: {reason} Nothing of it may be used. Fetch it again, or use another
    archive of this tenant."""


class ArchiveForeign(ArchiveError):
    """{name!r} is no archive that this version of Tenantry reads: {reason} Nothing of it was used. Look where the file
    came from."""


class ArchiveKeyMissing(ArchiveError):
    """{name!r} needs the key {key!r}, which the key ring does not hold. Add it to TENANTRY_ARCHIVE_KEYS, after the
    current one."""


class ArchiveSealed(ArchiveError):
    """Archive {name!r} is encrypted with a key of its tenant's own, {key!r}, and {reason} If the key was destroyed, the
    archive cannot be read by anybody any more. Look for an archive under another key."""


class ArchiveUnknown(ArchiveError):
    """The store {store} holds no archive {name!r}. List what it holds with `tenantry archive list`."""


class ArchiveExists(ArchiveError):
    """The store {store} holds an archive {name!r} already, and none is ever written over. Choose another name, or
    delete that one first."""


class StoreFull(ArchiveError):
    """There was no room left while {name!r} was written: {reason} Nothing half-written counts as an archive. Free some
    space, or prune old archives, and begin again."""


class StoreUnavailable(ArchiveError):
    """The store {store} did not do what was asked: {reason} Nothing half-written counts as an archive. Look whether it
    is there and lets this process in, then begin again."""
