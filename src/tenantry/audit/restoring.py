"""What a restore leaves in a chain: an entry that says where it was taken up again, and which anchors it replaced."""

from __future__ import annotations

import datetime
import uuid
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from tenantry.audit.anchors import Anchor
from tenantry.audit.entries import RESTORED, Tables
from tenantry.audit.recorder import Recorder
from tenantry.audit.retaining import append, chain_of
from tenantry.isolation.purging import Purge

if TYPE_CHECKING:
    from tenantry.audit.core import Audit
    from tenantry.tenancy import Tenancy

_known: Final[weakref.WeakKeyDictionary[Tenancy, list[weakref.ref[Audit]]]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore as the chain tells of it: its entry, the last entry before it, and whose chain that one was."""

    seq: int
    digest: str
    recorded_at: datetime.datetime
    through: int
    tenant: uuid.UUID
    replaced: frozenset[tuple[int, str]]

    def excuses(self, anchor: tuple[int, str], recorded_at: datetime.datetime) -> bool:
        """Whether the chain need not hold an anchor: the restore replaced the entry that it was of."""
        beyond = anchor[0] > self.through and recorded_at <= self.recorded_at
        return beyond or anchor in self.replaced


def know(audit: Audit) -> None:
    """Has ``audits_of`` find the audit as long as it lives."""
    _known.setdefault(audit.tenancy, []).append(weakref.ref(audit))


def audits_of(tenancy: Tenancy) -> list[Audit]:
    """Returns the audits that this process has made of a tenancy."""
    found = (one() for one in _known.get(tenancy, ()))
    return [audit for audit in found if audit is not None]


def note_restored(
    audit: Audit, opened: Purge, *, source: uuid.UUID, archive: str, taken_at: datetime.datetime
) -> Anchor | None:
    """Ends the chain of a tenant, whose rows were just restored, with an entry that says so, in that transaction.

    *source* is the tenant that the archive was taken of. Returns the anchor to keep once that is committed, if any.
    """
    recorder = audit.recorder
    chain = chain_of(recorder, opened)
    head, _ = chain.lock()
    said = {
        "through": head.seq,
        "digest": head.digest,
        "tenant": str(source),
        "archive": archive,
        "taken_at": taken_at.isoformat(),
        "replaced": list(_unmet(recorder, opened, chain.tables, last=head.seq)),
    }
    _, after = append(recorder, chain, event_type=RESTORED, description="Restored from an archive", details=said)
    if recorder.anchors is None:
        return None
    return Anchor(opened.tenant, after.seq, after.digest, after.recorded_at)


def _unmet(recorder: Recorder, opened: Purge, tables: Tables, *, last: int) -> Iterator[tuple[int, str]]:
    """Yields the anchors that the restored entries do not meet: they were of entries which an earlier restore wrote."""
    held = recorder.anchors.anchors(opened.tenant) if recorder.anchors else ()
    anchored = {(anchor.seq, anchor.digest) for anchor in held if anchor.seq <= last}
    entries = tables.entries.c
    wanted = select(entries.seq, entries.digest).where(
        entries.tenant_id == opened.tenant, entries.seq.in_(sorted({seq for seq, _ in anchored}))
    )
    standing = {(row.seq, row.digest) for row in opened.connection.execute(wanted)}
    unmet = anchored - standing
    # What was purged is met by the entry that tells of the purge; a second look would need the whole chain.
    first = opened.connection.scalar(
        select(entries.seq).where(entries.tenant_id == opened.tenant).order_by(entries.seq).limit(1)
    )
    yield from sorted(pair for pair in unmet if pair[0] >= (first or 0))


def restores_of(rows: Iterable[Any]) -> Sequence[Restored]:
    """Returns the restores that entries tell of, in their order; one that contradicts its own place says nothing."""
    return [found for row in rows if (found := _restored(row)) is not None]


def _restored(row: Any) -> Restored | None:
    said = row.details if isinstance(row.details, dict) else {}
    if (said.get("through"), said.get("digest")) != (row.seq - 1, row.previous_digest):
        return None
    try:
        tenant = uuid.UUID(said["tenant"])
        replaced = frozenset((int(seq), str(digest)) for seq, digest in said["replaced"])
    except (KeyError, TypeError, ValueError):
        return None
    return Restored(row.seq, row.digest, row.recorded_at, row.seq - 1, tenant, replaced)
