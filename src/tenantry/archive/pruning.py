"""Archives that the retention does not keep: told beforehand, withdrawn from the list, deleted, forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tenantry.archive.retention import Keep
from tenantry.catalog import archives
from tenantry.catalog.archives import LEAVING, STANDING, Archived
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

    Raises: LoginRequired, StoreUnavailable.
    """
    judged = judge(archive, keep, tenant)
    going = [each.archived for each in judged if each.reason is None]
    for done, archived in enumerate(going):
        with archive.tenancy.catalog(_ACTION) as connection:
            archives.withdraw(connection, archived.id)
        announce("prune", "delete", tenant=archived.tenant_id, done=done, total=len(going), archive=archived.name)
        archive.store.delete(archived.name)
        announce("prune", "forget", tenant=archived.tenant_id, done=done, total=len(going), archive=archived.name)
        with archive.tenancy.catalog(_ACTION) as connection:
            archives.forget(connection, archived.id)
    return judged


def _judge(keep: Keep, own: Sequence[Archived]) -> Iterator[Judged]:
    reasons = keep.reasons(archived for archived in own if archived.state != LEAVING)
    return (Judged(archived, reasons.get(archived.id)) for archived in own)
