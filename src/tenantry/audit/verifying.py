"""Whether a tenant's chain is what was written: every link, its two ends, and the anchors outside."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, func, select

from tenantry.audit.anchors import Anchor
from tenantry.audit.digests import GENESIS, Keys, content_digest, entry_digest
from tenantry.audit.entries import EPOCH, NAMES, PURGED, REDACTED, RESTORED, Head, Tables
from tenantry.audit.restoring import Restored, restores_of
from tenantry.session.core import TenantSession
from tenantry.types import Finding

BATCH: Final = 500
_RESTORE: Final = "Find out who writes to the table, and compare with a backup."

CODES: Final = {
    "A001": "an entry's content is not what was recorded",
    "A002": "an entry is not what was recorded",
    "A003": "entries are missing, or stand in another order",
    "A004": "an entry does not follow its predecessor",
    "A005": "the chain does not begin where it began or was purged to",
    "A006": "the chain does not end where its head says",
    "A007": "the chain is not the one that was anchored",
    "A008": "an entry is signed by no known key, or by none where keys are used",
    "A009": "an entry is older than its predecessor",
    "A010": "an entry's content is gone without a record of its redaction",
}


def verify(
    session: TenantSession, tables: Tables, keys: Keys, anchors: Iterable[Anchor], *, at_most: int
) -> list[Finding]:
    """Returns what is wrong with the chain of the session's tenant, *at_most* that many findings."""
    return list(itertools.islice(Reading(session, tables, keys, anchors).findings(), at_most))


class Reading:
    """One reading of a chain from its beginning to its end, in batches."""

    def __init__(self, session: TenantSession, tables: Tables, keys: Keys, anchors: Iterable[Anchor]) -> None:
        self._session = session
        self._tables = tables
        self._keys = keys
        self._tenant = session.tenant.id
        self._name = f"{tables.entries.name} of {session.tenant.slug}"
        self._restores = self._list_restores()
        self._anchors = self._held(list(anchors))
        self._redacted = frozenset(self._list_redacted())
        self._signed = False
        self._last = Head(0, GENESIS, EPOCH)

    def findings(self) -> Iterator[Finding]:
        """Yields what is wrong, in the order of the chain."""
        head, newest = self._ends()
        yield from self._judge_beginning()
        for row in self._rows(head.seq if head else newest):
            yield from self._judge(row)
        yield from self._judge_end(head, newest)
        for seq in sorted(self._anchors):
            yield self._finding("A007", f"An anchor holds entry {seq}, which the chain does not have.")

    def _held(self, anchors: Sequence[Anchor]) -> dict[int, set[str]]:
        """Returns the anchors that the chain has to meet, by entry.

        A restore excuses those of the entries that it replaced; where anchors are kept, only one that is among them.
        """
        pairs = {(anchor.seq, anchor.digest) for anchor in anchors}
        vouched = [one for one in self._restores if (one.seq, one.digest) in pairs]
        held: dict[int, set[str]] = {}
        for anchor in anchors:
            if not any(one.excuses((anchor.seq, anchor.digest), anchor.recorded_at) for one in vouched):
                held.setdefault(anchor.seq, set()).add(anchor.digest)
        return held

    def _ends(self) -> tuple[Head | None, int]:
        # Both in one statement: what commits between two would look like a forgery.
        entries, heads = self._tables.entries.c, self._tables.heads.c
        newest = select(func.max(entries.seq)).where(entries.tenant_id == self._tenant).scalar_subquery()
        one = select(newest.label("newest")).subquery()
        asked = select(one.c.newest, heads.seq, heads.digest, heads.recorded_at)
        row = self._session.execute(
            asked.select_from(one.outerjoin(self._tables.heads, self._tables.own_head(self._tenant)))
        ).one()
        head = None if row.seq is None else Head(row.seq, row.digest, row.recorded_at)
        return head, row.newest or 0

    def _rows(self, last: int) -> Iterator[Row[Any]]:
        entries = self._tables.entries.c
        columns = [entries[name] for name in NAMES]
        wanted = select(*columns).where(entries.tenant_id == self._tenant, entries.seq <= last)
        after: int | None = None
        while True:
            page = wanted if after is None else wanted.where(entries.seq > after)
            rows = self._session.execute(page.order_by(entries.seq).limit(BATCH)).all()
            if not rows:
                return
            yield from rows
            after = rows[-1].seq

    def _judge_beginning(self) -> Iterator[Finding]:
        entries = self._tables.entries.c
        first = self._session.scalar(select(func.min(entries.seq)).where(entries.tenant_id == self._tenant))
        purged = self._session.scalars(self._own(PURGED).order_by(entries.seq.desc()).limit(1)).first()
        through, digest = _purged_through(purged)
        if first is not None and first != through + 1:
            yield self._finding("A005", f"It begins with entry {first} instead of {through + 1}.")
        else:
            self._last = Head(through, digest, EPOCH)
        if (anchored := self._anchors.get(through)) and anchored != {digest}:
            yield self._finding("A007", f"What was purged ended otherwise than the anchor of entry {through} says.")
        self._anchors = {seq: held for seq, held in self._anchors.items() if seq > through}

    def _judge(self, row: Row[Any]) -> Iterator[Finding]:
        values = row._asdict()
        last, self._last = self._last, Head(row.seq, row.digest, row.recorded_at)
        if row.seq != last.seq + 1:
            yield self._finding("A003", f"Entry {row.seq} follows entry {last.seq}.")
        if row.previous_digest != last.digest:
            yield self._finding("A004", f"Entry {row.seq} does not name the digest of entry {last.seq}.")
        if row.recorded_at < last.recorded_at:
            yield self._finding("A009", f"Entry {row.seq} is older than entry {last.seq}.")
        yield from self._judge_content(row, values)
        yield from self._judge_digest(row, values)
        held = self._anchors.pop(row.seq, None)
        if held is not None and held != {row.digest}:
            yield self._finding("A007", f"Entry {row.seq} has another digest than its anchor.")

    def _judge_content(self, row: Row[Any], values: dict[str, Any]) -> Iterator[Finding]:
        if row.salt is None:
            if row.seq not in self._redacted:
                yield self._finding(
                    "A010", f"The content of entry {row.seq} is gone, and nothing says who redacted it."
                )
        elif content_digest(values) != row.content_digest:
            yield self._finding("A001", f"What entry {row.seq} says was changed.")

    def _judge_digest(self, row: Row[Any], values: dict[str, Any]) -> Iterator[Finding]:
        if row.key_id not in self._keys:
            yield self._finding("A008", f"Entry {row.seq} is signed by the key {row.key_id!r}, which was not given.")
            return
        if self._signed and not row.key_id:
            yield self._finding("A008", f"Entry {row.seq} is not signed, but earlier ones are.")
        self._signed = self._signed or bool(row.key_id)
        if entry_digest(self._keys, self._owner(row.seq), values) != row.digest:
            yield self._finding("A002", f"Entry {row.seq} has another digest than it should.")

    def _judge_end(self, head: Head | None, newest: int) -> Iterator[Finding]:
        if head is None:
            if newest:
                yield self._finding("A006", "Its head is gone.")
            return
        if head.seq != self._last.seq or newest > head.seq:
            yield self._finding("A006", f"It should end with entry {head.seq}, and ends with {newest}.")
        elif (head.digest, head.recorded_at) != (self._last.digest, self._last.recorded_at):
            yield self._finding("A006", f"Its head says otherwise than its last entry, {head.seq}.")
        if self._keys.current and not self._signed and self._last.seq:
            yield self._finding("A008", "None of its entries is signed, although keys were given.")

    def _owner(self, seq: int) -> uuid.UUID:
        """Returns whose chain an entry was written to: of a restored one, the tenant's that the archive was of."""
        return next((one.tenant for one in self._restores if seq <= one.through), self._tenant)

    def _list_restores(self) -> Sequence[Restored]:
        entries = self._tables.entries.c
        columns = (entries.seq, entries.digest, entries.previous_digest, entries.recorded_at, entries.details)
        own = entries.tenant_id == self._tenant, entries.event_type == RESTORED
        return restores_of(self._session.execute(select(*columns).where(*own).order_by(entries.seq)))

    def _list_redacted(self) -> Iterator[int]:
        for details in self._session.scalars(self._own(REDACTED)):
            if isinstance(details, dict):
                yield from (seq for seq in details.get("entries", ()) if isinstance(seq, int))

    def _own(self, event_type: str) -> Select[Any]:
        """Returns the details of what the audit says of itself; each of those entries is judged like any other."""
        entries = self._tables.entries.c
        return select(entries.details).where(entries.tenant_id == self._tenant, entries.event_type == event_type)

    def _finding(self, code: str, message: str) -> Finding:
        return Finding(code, self._name, message, _RESTORE)


def _purged_through(details: Any) -> tuple[int, str]:
    """Returns the last entry that was purged, and its digest, after which the chain goes on."""
    if not isinstance(details, dict):
        return 0, GENESIS
    through, digest = details.get("through"), details.get("digest")
    return (through, digest) if isinstance(through, int) and isinstance(digest, str) else (0, GENESIS)
