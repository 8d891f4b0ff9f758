"""The archive, awaited: each call does its work in a thread, as a backup or a restore is seconds of somebody else's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.archive.export_forms import JSONL
from tenantry.archive.export_outcomes import Exported
from tenantry.archive.outcomes import Difference, Restored, Verified
from tenantry.archive.pruning import Judged
from tenantry.archive.retention import Keep
from tenantry.archive.sources import LATEST
from tenantry.catalog.archives import Archived
from tenantry.catalog.operations import Operation
from tenantry.types import Isolation, TenantKey

if TYPE_CHECKING:
    from tenantry.archive.core import Archive


class AsyncArchive:
    """What ``Archive`` does, without blocking the event loop; a cancelled call comes to its end in its thread."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def __repr__(self) -> str:
        return f"AsyncArchive({self._archive.location})"

    async def backup(self, key: TenantKey, *, suspended: bool = False, note: str = "") -> Archived:
        """Returns a new archive of one state of a tenant's rows.

        Raises: as ``Archive.backup``.
        """
        return await asyncio.to_thread(self._archive.backup, key, suspended=suspended, note=note)

    async def verify(self, name: str | Path, *, server: str | None = None) -> Verified:
        """Restores an archive into a scratch place and compares every table there.

        Raises: as ``Archive.verify``.
        """
        return await asyncio.to_thread(self._archive.verify, name, server=server)

    async def diff(self, key: TenantKey, name: str | Path = LATEST) -> Difference:
        """Returns how a tenant's rows differ from an archive of it.

        Raises: as ``Archive.diff``.
        """
        return await asyncio.to_thread(self._archive.diff, key, name)

    async def restore(
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

        Raises: as ``Archive.restore``.
        """
        return await asyncio.to_thread(
            self._archive.restore,
            key,
            from_,
            into=into,
            in_place=in_place,
            keep=keep,
            isolation=isolation,
            server=server,
        )

    async def import_(self, path: str | Path) -> Archived:
        """Puts an archive that came from elsewhere into the store.

        Raises: as ``Archive.import_``.
        """
        return await asyncio.to_thread(self._archive.import_, path)

    async def export(
        self,
        key: TenantKey,
        place: str | Path,
        *,
        form: str = JSONL,
        subject: str | Iterable[str] | None = None,
        reveal: Collection[str] = (),
    ) -> Exported:
        """Writes what a tenant has, or one of its persons, for people and programs elsewhere.

        Raises: as ``Archive.export``.
        """
        return await asyncio.to_thread(self._archive.export, key, place, form=form, subject=subject, reveal=reveal)

    async def prune(self, keep: Keep, key: TenantKey | None = None) -> Sequence[Judged]:
        """Deletes the archives that *keep* does not count.

        Raises: as ``Archive.prune``.
        """
        return await asyncio.to_thread(self._archive.prune, keep, key)

    async def status(self) -> Sequence[Operation]:
        """Returns the operations that have not come to their end.

        Raises: LoginRequired.
        """
        return await asyncio.to_thread(self._archive.status)

    async def resume(self, operation: uuid.UUID) -> Restored | None:
        """Goes on with a restore whose process is gone.

        Raises: as ``Archive.resume``.
        """
        return await asyncio.to_thread(self._archive.resume, operation)

    async def rollback(self, operation: uuid.UUID) -> None:
        """Takes back a restore whose process is gone.

        Raises: as ``Archive.rollback``.
        """
        await asyncio.to_thread(self._archive.rollback, operation)
