"""What goes again: entries that are old enough, and the content of those that somebody may have forgotten."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, MetaData, Row, Table, insert, select

from tenantry.audit.digests import CONTENT
from tenantry.audit.drafting import drafted
from tenantry.audit.entries import OWN_CATEGORY, PURGED, REDACTED, RESTORED, Draft, Head, Tables
from tenantry.audit.recorder import Recorder
from tenantry.audit.sealing import Chain
from tenantry.errors import AuditRefused
from tenantry.isolation.purging import Purge
from tenantry.types import TenantKey

if TYPE_CHECKING:
    from tenantry.tenancy import Tenancy

_GONE: Final = dict.fromkeys((*CONTENT, "salt"))


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge deleted: how many entries, and the last of them, 0 if there was none."""

    count: int
    through: int


def purge(
    recorder: Recorder,
    tenancy: Tenancy,
    key: TenantKey,
    *,
    older_than: datetime.datetime | datetime.timedelta,
    reason: str,
) -> Purged:
    """Deletes the entries that are older, and records that in the same transaction.

    Raises: as ``Tenancy.purging``.
    """
    with tenancy.purging(key, reason=f"audit retention: {reason}") as opened:
        chain = chain_of(recorder, opened)
        _, now = chain.lock()
        before = older_than if isinstance(older_than, datetime.datetime) else now - older_than
        entries = chain.tables.entries.c
        # Times rise with the numbers, so what is older is the beginning.
        old = entries.tenant_id == opened.tenant, entries.recorded_at < before
        last = opened.connection.execute(
            select(entries.seq, entries.digest).where(*old).order_by(entries.seq.desc()).limit(1)
        ).one_or_none()
        if last is None:
            return Purged(0, 0)
        count = opened.delete(recorder.tables.entries, recorder.tables.entries.c.seq <= last.seq)
        said = {"through": last.seq, "digest": last.digest, "count": count, "before": before}
        append(
            recorder,
            chain,
            event_type=PURGED,
            description=f"Purged {count} entries",
            details={**said, "reason": reason},
        )
    return Purged(count, last.seq)


def redact(recorder: Recorder, tenancy: Tenancy, key: TenantKey, seqs: Sequence[int], *, reason: str) -> int:
    """Takes the content out of entries, and records that in the same transaction.

    Raises: AuditRefused for entries that the audit made of itself, and as ``Tenancy.purging``.
    """
    with tenancy.purging(key, reason=f"audit redaction: {reason}") as opened:
        return redact_within(recorder, opened, seqs, reason=reason)


def redact_within(recorder: Recorder, opened: Purge, seqs: Sequence[int], *, reason: str) -> int:
    """Takes the content out of entries, and records that, in the transaction of a purge.

    Raises: AuditRefused for entries that the audit made of itself.
    """
    chain = chain_of(recorder, opened)
    chain.lock()
    entries = chain.tables.entries
    wanted = select(entries).where(entries.c.tenant_id == opened.tenant, entries.c.seq.in_(seqs))
    rows = [row for row in opened.connection.execute(wanted.order_by(entries.c.seq)) if row.salt is not None]
    _check_own(rows)
    if not rows:
        return 0
    found = [row.seq for row in rows]
    # Nobody may update the table, a purge included: the rows go, and come back without their content.
    opened.delete(recorder.tables.entries, recorder.tables.entries.c.seq.in_(found))
    opened.connection.execute(insert(entries), [{**row._asdict(), **_GONE} for row in rows])
    told = {"entries": found, "reason": reason}
    append(recorder, chain, event_type=REDACTED, description=f"Redacted {len(found)} entries", details=told)
    return len(found)


def _check_own(rows: Sequence[Row[Any]]) -> None:
    for row in rows:
        if row.event_type in (PURGED, REDACTED, RESTORED):
            raise AuditRefused(reason=f"entry {row.seq} says what the audit did to itself. Leave it out.")


def append(
    recorder: Recorder, chain: Chain, *, event_type: str, description: str, details: dict[str, Any]
) -> tuple[Head, Head]:
    """Writes what the audit says of itself, and returns where the chain ended before and where it ends now."""
    values = drafted(
        {},
        replace(recorder.redactor, also=None),
        event_type=event_type,
        category=OWN_CATEGORY,
        description=description,
        details=details,
    )
    return chain.seal([Draft(values, kept=False, scope=None)])


def chain_of(recorder: Recorder, opened: Purge) -> Chain:
    """Returns the chain as a purge reaches it: past the views of SQLite, by the tables that the rows are stored in."""
    tables = Tables(
        _stored(opened, recorder.tables.entries), _stored(opened, recorder.tables.heads), recorder.tables.chain
    )
    return Chain(opened.connection, opened.tenant, tables, recorder.keys)


def _stored(opened: Purge, table: Table) -> Table:
    name = opened.stored(table.name)
    return Table(name, MetaData(), *(Column(column.name, column.type) for column in table.columns))
