"""The places where something of a tenant is kept, each erased, looked at again, and told of in the certificate."""

from __future__ import annotations

import datetime
import importlib.metadata
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from tenantry.archive import erasures
from tenantry.archive.certificates import Certificate
from tenantry.archive.certificates import Store as Told
from tenantry.archive.core import Archive
from tenantry.archive.stores import Store
from tenantry.audit.core import Audit
from tenantry.catalog import archives, data_keys, operations
from tenantry.catalog.operations import BACKUP, Course, Operation
from tenantry.catalog.tables import archives as archives_table
from tenantry.catalog.tables import now
from tenantry.errors import ArchiveError, EraseUnfinished, OperationInProgress
from tenantry.isolation.purging import Purge
from tenantry.types import Tenant

if TYPE_CHECKING:
    from tenantry.archive.erasing import Copies

ROWS: Final = "rows"
ARCHIVES: Final = "archives"
DATA_KEYS: Final = "data keys"

_ACTION: Final = "Erasing"
_PATIENCE: Final = 600.0
_COUNTS: Final = "counts"
_LOOKED_AT_STORE: Final = "the names of everything that lies there for the tenant"
_LOOKED_AT_KEYS: Final = "the tenant's keys in the catalog"
_LOOKED_AT_COPY: Final = "asked to forget once more"


@dataclass(frozen=True, slots=True)
class Places:
    """Everything that an erase of one tenant's, or of one of its persons, has to do with."""

    archive: Archive
    tenant: Tenant
    stores: Sequence[Store]
    copies: Sequence[Copies]
    audits: Sequence[Audit]
    begun: Operation | None

    def names_in(self, store: Store) -> Iterator[str]:
        """Yields the names of all that lies in a store for the tenant: archives, and exports that were kept."""
        return store.names(f"{self.tenant.id}/")

    def purging(self, reason: str) -> AbstractContextManager[Purge]:
        """Opens a transaction on the tenant's rows, past the walls; the reason is on the record first."""
        tenancy = self.archive.tenancy
        tenancy.record_operator(reason, self.tenant.server)
        # What is kept of the rows elsewhere goes by itself, and is counted.
        return tenancy.servers.strategy_of(self.tenant).purging(self.tenant.id)

    def catalog(self) -> AbstractContextManager[Connection]:
        """Opens a transaction on the catalog."""
        return self.archive.tenancy.catalog(_ACTION)

    def course(self) -> AbstractContextManager[Course]:
        """Holds the operation that was begun or taken up."""
        assert self.begun is not None  # noqa: S101  # whoever only looks has no course
        return operations.on_course(self.archive.tenancy.catalog, self.begun)

    def delete_files(self, course: Course, *, but: Collection[str] = ()) -> None:
        """Deletes all that lies in the stores for the tenant, except some names, and has the catalog forget it."""
        for store in self.stores:
            going = [name for name in self.names_in(store) if name not in but]
            note(course, "archives", f"{ARCHIVES} in {store!r}", {"files": len(going)})
            for done, name in enumerate(going):
                course.tell("delete archive", done=done, total=len(going))
                store.delete(name)
        with self.catalog() as connection:
            for archived in archives.listing(
                connection, tenant=self.tenant.id, states={*archives.STANDING, archives.LEAVING}
            ):
                if archived.name not in but:
                    archives.forget(connection, archived.id)

    def destroy_keys(self, course: Course, *, but: uuid.UUID | None = None) -> None:
        """Destroys the tenant's data keys, except one: whatever is encrypted under them is noise from now on."""
        going = self._standing_keys(but)
        note(course, "keys", DATA_KEYS, {"keys": len(going)})
        self.archive.data_keys.destroy(self.tenant.id, going)

    def forget_copies(self, course: Course, subject: Collection[str] | None) -> None:
        """Has every further place forget the tenant, or the person with these names."""
        for copies in self.copies:
            course.step("copies", copies=copies.name)
            note(course, "copies", copies.name, {"entries": copies.forget(self.tenant.id, subject)}, adding=True)

    def told_of_files(self, course: Course, *, but: Collection[str] = ()) -> Iterator[Told]:
        """Yields what became of the archives, after a look at each store."""
        for store in self.stores:
            name = f"{ARCHIVES} in {store!r}"
            left = {"files": sum(found not in but for found in self.names_in(store))}
            yield told(course, name, repr(store), looked_at=_LOOKED_AT_STORE, left=left)

    def told_of_keys(self, course: Course, *, but: uuid.UUID | None = None) -> Told:
        """Returns what became of the data keys, after a look at the catalog."""
        left = {"keys": len(self._standing_keys(but))}
        return told(course, DATA_KEYS, "the catalog", looked_at=_LOOKED_AT_KEYS, left=left)

    def told_of_copies(self, course: Course, subject: Collection[str] | None) -> Iterator[Told]:
        """Yields what became of the further places, each asked again."""
        for copies in self.copies:
            left = {"entries": copies.forget(self.tenant.id, subject)}
            yield told(course, copies.name, "outside the database", looked_at=_LOOKED_AT_COPY, left=left)

    def wait_for_backups(self, course: Course) -> None:
        """Waits until no backup is under way that may have read what was there before.

        Raises: OperationInProgress after ten minutes.
        """
        moment, end = now(), time.monotonic() + _PATIENCE
        while running := self._backups(moment):
            course.tell("wait for a backup", done=0, total=len(running))
            if time.monotonic() > end:
                other = running[0]
                raise OperationInProgress(tenant=self.tenant.id, kind=BACKUP, operation=other.id, step=other.step)
            time.sleep(0.2)

    def certify(self, course: Course, stores: Sequence[Told], *, scope: str, notes: Sequence[str]) -> Certificate:
        """Returns the signed certificate, once the log of erasures has it.

        Raises: EraseUnfinished where a look still found something.
        """
        left = [f"{count} {what} in {told.name}" for told in stores for what, count in told.left.items() if count]
        if left:
            raise EraseUnfinished(tenant=self.tenant.id, found=", ".join(left))
        certificate = Certificate(
            id=course.id,
            tenant=self.tenant.id,
            scope=scope,
            subject=tuple(course.detail.get("subject", ())),
            begun_at=course.begun_at,
            ended_at=now(),
            version=importlib.metadata.version("tenantry"),
            stores=tuple(stores),
            notes=tuple(notes),
        ).signed(self.archive.ring)
        course.step("certify")
        with self.catalog() as connection:
            erasures.close(connection, course.id, certificate.to_json())
        return certificate

    def _backups(self, moment: datetime.datetime) -> list[Operation]:
        with self.catalog() as connection:
            found = operations.of_tenant(connection, self.tenant.id, BACKUP)
        return [
            one for one in found if one.state == operations.RUNNING and not one.abandoned and one.created_at < moment
        ]

    def _standing_keys(self, but: uuid.UUID | None) -> list[uuid.UUID]:
        with self.catalog() as connection:
            found = data_keys.listing(connection, self.tenant.id)
        return [key.id for key in found if key.wrapped is not None and key.id != but]


def check_stores(connection: Connection, tenant: uuid.UUID, stores: Sequence[Store]) -> None:
    """Lets a tenant pass whose archives all lie in these stores, as far as the catalog knows.

    Raises: ArchiveError, which names the others.
    """
    known = [repr(store) for store in stores]
    t = archives_table
    question = (
        select(t.c.store, func.count()).where(t.c.tenant_id == tenant, t.c.store.not_in(known)).group_by(t.c.store)
    )
    elsewhere = [f"{count} in {store}" for store, count in connection.execute(question)]
    if elsewhere:
        raise ArchiveError(
            what=f"Tenant {tenant} has archives elsewhere too, so nothing was erased: {', '.join(elsewhere)}.",
            fix="Pass those stores as well: Erasing(archive, stores=[...]).",
        )


def note(course: Course, step: str, place: str, found: Mapping[str, int], *, adding: bool = False) -> None:
    """Notes what a place is about to lose: a successor finds less there, and the certificate is to tell all."""
    counts: dict[str, Any] = {**course.detail.get(_COUNTS, {})}
    before = dict(counts.get(place, {}))
    for name, count in found.items():
        before[name] = before.get(name, 0) + count if adding else max(before.get(name, 0), count)
    course.step(step, **{_COUNTS: {**counts, place: before}})


def noted(course: Course, place: str) -> dict[str, int]:
    """Returns what a place has lost."""
    return dict(course.detail.get(_COUNTS, {}).get(place, {}))


def told(course: Course, name: str, place: str, *, looked_at: str, left: Mapping[str, int]) -> Told:
    """Returns what the certificate says of a place."""
    return Told(name=name, place=place, erased=noted(course, name), looked_at=looked_at, left=dict(left))
