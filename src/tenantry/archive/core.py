"""The archive of an installation: one tenant at a time backed up, verified, compared, restored."""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.archive import backing, diffing, exporting, importing, operating, restoring, sweeping, verifying
from tenantry.archive.clockwork import schedules_of
from tenantry.archive.export_forms import JSONL
from tenantry.archive.export_outcomes import Exported
from tenantry.archive.keeping import DataKeys
from tenantry.archive.keys import DataKey, KeyRing
from tenantry.archive.outcomes import Difference, Restored, Verified
from tenantry.archive.pruning import Judged, prune
from tenantry.archive.retention import Keep
from tenantry.archive.scheduling import Schedules
from tenantry.archive.sources import LATEST
from tenantry.archive.stores import Store, open_store
from tenantry.catalog.archives import Archived
from tenantry.catalog.operations import BACKUP, RESTORE, VERIFY, Operation
from tenantry.errors import InvalidKey, TenantNotFound
from tenantry.events import watched
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, TenantKey

if TYPE_CHECKING:
    from tenantry.archive.aio import AsyncArchive


class Archive:
    """Keeps tenants' rows in a store, one signed file for each backup; *encrypt* seals it by a key of the tenant's own.

    *store* is a store, a path, or a URL such as ``s3://…``; *keys* signs, by default what TENANTRY_ARCHIVE_KEYS says.
    *spool* is where an archive is written before it goes there, by default the system's place for temporary files.

    Raises: ConfigurationError for a store or keys that cannot be read.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        store: Store | str | os.PathLike[str],
        *,
        keys: KeyRing | None = None,
        encrypt: bool = False,
        spool: str | Path | None = None,
    ) -> None:
        self.tenancy = tenancy
        self.store: Store = open_store(store) if isinstance(store, (str, os.PathLike)) else store
        self.ring = keys or KeyRing.from_env()
        self.encrypt = encrypt
        self.spool = None if spool is None else Path(spool)
        self.data_keys = DataKeys(tenancy, self.ring)

    def __repr__(self) -> str:
        return f"Archive({self.location})"

    @functools.cached_property
    def aio(self) -> AsyncArchive:
        """The same, awaited; each call works in a thread."""
        from tenantry.archive.aio import AsyncArchive  # noqa: PLC0415  # it holds this class

        return AsyncArchive(self)

    @property
    def location(self) -> str:
        """The store as the catalog names it, without a password."""
        return repr(self.store)

    @functools.cached_property
    def schedules(self) -> Schedules:
        """The backups by the clock to this store: set, listed, cancelled, and worked off by any number of processes."""
        return schedules_of(self)

    @watched("archive.backup")
    def backup(self, key: TenantKey, *, suspended: bool = False, note: str = "") -> Archived:
        """Returns a new archive of one state of a tenant's rows, which may be written to meanwhile.

        It counts once it stands whole in the store; *suspended* takes a tenant in that state too.

        Raises: BackupRefused, TablesLeftOut, BackupFiltered, StoreFull, StoreUnavailable, LoginRequired.
        """
        sweeping.sweep(self)
        return backing.back_up(self, self.tenancy.tenants.get(key), suspended=suspended, note=note)

    @watched("archive.verify")
    def verify(self, name: str | Path, *, server: str | None = None) -> Verified:
        """Restores an archive into a scratch place, compares every table there, and records that it was proved.

        *server* is where the scratch place is made, by default where the tenant lives.

        Raises: ArchiveDamaged, ArchiveForeign, ArchiveSealed, RestoreUnequal, TablesUnlike, LoginRequired.
        """
        sweeping.sweep(self)
        return verifying.verify(self, name, server=server)

    @watched("archive.diff")
    def diff(self, key: TenantKey, name: str | Path = LATEST) -> Difference:
        """Returns how a tenant's rows differ from an archive of it, table by table.

        Raises: TenantNotFound, NoArchive, ArchiveOfAnother, TablesUnlike, and as ``verify``.
        """
        return diffing.diff(self, self.tenancy.tenants.get(key), name)

    @watched("archive.restore")
    def restore(
        self,
        key: TenantKey,
        from_: str | Path = LATEST,
        *,
        into: str | None = None,
        in_place: bool = False,
        keep: bool = True,
        isolation: Isolation | str | None = None,
        server: str | None = None,
    ) -> Restored:
        """Gives a tenant the rows of an archive, all of them or none.

        Into its own place if that is empty; with *in_place* instead of the rows it has, which are backed up before
        unless *keep* is False, while its writers wait and its readers see the old rows; with *into* into a new tenant
        of that slug. Isolation and server say where a new tenant goes, or one whose own place is gone. An archive of an
        older revision is migrated on the way.

        Args:
            from_: an archive's name, a file's path, ``latest``, or ``before:`` and a time.

        Raises: NoArchive, ArchiveOfAnother, PlaceNotEmpty, RestoreRefused, TablesUnlike, RestoreUnequal, TenantMoving,
            OperationInProgress, TenantExists, and as ``verify``.
        """
        wanted = restoring.Wanted(
            tenant=self.identify(key),
            archive=from_,
            into=into,
            in_place=in_place,
            keep=keep,
            isolation=None if isolation is None else Isolation(isolation),
            server=server,
        )
        return restoring.restore(self, wanted)

    @watched("archive.import")
    def import_(self, path: str | Path) -> Archived:
        """Puts an archive that came from elsewhere into the store, once its signature holds.

        Raises: ArchiveForeign, ArchiveDamaged, ArchiveKeyMissing, ArchiveExists, StoreFull, StoreUnavailable.
        """
        return importing.import_archive(self, Path(path))

    @watched("archive.export")
    def export(
        self,
        key: TenantKey,
        place: str | Path,
        *,
        form: str = JSONL,
        subject: str | Iterable[str] | None = None,
        reveal: Collection[str] = (),
    ) -> Exported:
        """Writes what a tenant has, or one of its persons, for people and programs elsewhere; see ``exporting.export``.

        Raises: as that.
        """
        return exporting.export(self.tenancy, key, place, form=form, subject=subject, reveal=reveal)

    @watched("archive.prune")
    def prune(self, keep: Keep, key: TenantKey | None = None) -> Sequence[Judged]:
        """Deletes the archives of a tenant, or of all, that *keep* does not count, and returns what stayed and why.

        Raises: TenantNotFound, StoreUnavailable, LoginRequired.
        """
        return prune(self, keep, None if key is None else self.identify(key))

    def status(self) -> Sequence[Operation]:
        """Returns the backups, verifications and restores that have not come to their end, the newest first.

        Raises: LoginRequired.
        """
        return operating.unfinished(self.tenancy, BACKUP, VERIFY, RESTORE)

    @watched("archive.resume")
    def resume(self, operation: uuid.UUID) -> Restored | None:
        """Goes on with a restore whose process is gone; of any other operation it removes what was left behind.

        Raises: OperationUnknown, OperationInProgress, and as ``restore``.
        """
        return restoring.resume(self, operation)

    @watched("archive.rollback")
    def rollback(self, operation: uuid.UUID) -> None:
        """Takes back a restore whose process is gone, as far as nobody can have used it yet.

        Raises: OperationUnknown, OperationInProgress, RestoreRefused for one that was done.
        """
        restoring.rollback(self, operation)

    def data_key(self, tenant: uuid.UUID, key: str) -> DataKey | None:
        """Returns the data key that an archive is sealed by, or None where it was destroyed."""
        return self.data_keys.get(tenant, key)

    def identify(self, key: TenantKey) -> uuid.UUID:
        """Returns the identifier that *key* stands for, also of a tenant that the catalog does not know any more.

        Raises: TenantNotFound, InvalidKey.
        """
        try:
            return self.tenancy.tenants.get(key).id
        except TenantNotFound:
            if isinstance(key, uuid.UUID):
                return key
            found = _as_uuid(key)
            if found is None:
                raise
            return found


def _as_uuid(key: TenantKey) -> uuid.UUID | None:
    try:
        return uuid.UUID(key) if isinstance(key, str) else None
    except (ValueError, InvalidKey):
        return None
