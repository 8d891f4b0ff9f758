"""Archives that the retention does not keep: told beforehand, withdrawn from the list, deleted, forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tenantry.archive.retention import Keep
from tenantry.catalog import archives
from tenantry.catalog.archives import LEAVING, STANDING, Archived
from tenantry.errors import ArchiveError, ArchiveUnknown, StoreUnavailable
from tenantry.events import announce

if TYPE_CHECKING:
    from tenantry.archive.core import Archive

_ACTION: Final = "Pruning archives"


@dataclass(frozen=True, slots=True)
class Judged:
    """One archive and why it stays; one that goes has no reason."""

    archived: Archived
    reason: str | None


def judge(archive: Archive, keep: Keep, tenant: uuid.UUID | None = None) -> list[Judged]:
    """Returns the archives of a tenant, or of all, in this store, each with why it stays; nothing is changed.

    Files in the store that the catalog does not list are nobody's to delete and are not among them.

    Raises: LoginRequired.
    """
    with archive.tenancy.catalog(_ACTION) as connection:
        found = archives.listing(connection, tenant=tenant, store=archive.location, states={*STANDING, LEAVING})
    by_tenant = sorted(found, key=lambda archived: archived.tenant_id)
    return [judged for _, own in groupby(by_tenant, lambda each: each.tenant_id) for judged in _judge(keep, list(own))]


def prune(archive: Archive, keep: Keep, tenant: uuid.UUID | None = None) -> list[Judged]:
    """Deletes the archives that are not kept, goes on with what a crash left, and returns what ``judge`` did.

    Nothing goes while one that is to stay is not in the store, as when the store is another one, or not mounted.

    Raises: LoginRequired, StoreUnavailable.
    """
    judged = judge(archive, keep, tenant)
    going = [each.archived for each in judged if each.reason is None]
    _check_standing(archive, judged, {archived.tenant_id for archived in going})
    for done, archived in enumerate(going):
        with archive.tenancy.catalog(_ACTION) as connection:
            archives.withdraw(connection, archived.id)
        announce("prune", "delete", tenant=archived.tenant_id, done=done, total=len(going), archive=archived.name)
        archive.store.delete(archived.name)
        announce("prune", "forget", tenant=archived.tenant_id, done=done, total=len(going), archive=archived.name)
        with archive.tenancy.catalog(_ACTION) as connection:
            archives.forget(connection, archived.id)
    return judged


def forget(archive: Archive, name: str) -> None:
    """Strikes an archive off the list that somebody removed from the store by hand.

    Raises: ArchiveUnknown where the list has none of that name, ArchiveError where the store still has it.
    """
    if name in archive.store.names(name):
        raise ArchiveError(
            what=f"{name!r} stands in the store, so it stays on the list.",
            fix="Use `tenantry archive prune` to have archives deleted.",
        )
    with archive.tenancy.catalog(_ACTION) as connection:
        found = archives.find(connection, archive.location, name)
        if found is None:
            raise ArchiveUnknown(store=archive.location, name=name)
        archives.forget(connection, found.id)


def _check_standing(archive: Archive, judged: Iterable[Judged], tenants: Collection[uuid.UUID]) -> None:
    for tenant in tenants:
        present = set(archive.store.names(str(tenant)))
        for each in judged:
            if each.reason is not None and each.archived.tenant_id == tenant and each.archived.name not in present:
                reason = (
                    f"it lacks {each.archived.name}, which is to stay, so nothing was deleted. If that one was removed "
                    "on purpose, strike it off the list with `tenantry archive forget`."
                )
                raise StoreUnavailable(store=archive.location, reason=reason)


def _judge(keep: Keep, own: Sequence[Archived]) -> Iterator[Judged]:
    reasons = keep.reasons(archived for archived in own if archived.state != LEAVING)
    return (Judged(archived, reasons.get(archived.id)) for archived in own)
