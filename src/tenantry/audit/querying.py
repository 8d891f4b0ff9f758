"""Reading a tenant's entries."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, literal_column, select

from tenantry.audit.entries import NAMES, SUCCESS, Entry, Head, Resource, Tables, entry_of
from tenantry.session.core import TenantSession


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries are wanted, and in what order."""

    event_type: str | None
    category: str | None
    status: str | None
    failed: bool
    resource: Resource | None
    actor: object
    correlation_id: object
    since: datetime.datetime | ColumnElement[datetime.datetime] | None
    until: datetime.datetime | None
    after: int | None
    newest_first: bool

    def conditions(self, entries: Any) -> Iterator[ColumnElement[bool]]:
        """Yields what a wanted entry fulfils."""
        kind, own = self.resource if isinstance(self.resource, tuple) else (self.resource, None)
        texts = {name: getattr(self, name) for name in ("event_type", "category", "status", "actor", "correlation_id")}
        for name, value in {**texts, "resource_type": kind, "resource_id": own}.items():
            if value is not None:
                yield entries[name] == str(value)
        if self.failed:
            # Written out, for the index that holds only these.
            yield entries.status != literal_column(f"'{SUCCESS}'")
        if self.since is not None:
            yield entries.recorded_at >= self.since
        if self.until is not None:
            yield entries.recorded_at < self.until
        if self.after is not None:
            yield entries.seq < self.after if self.newest_first else entries.seq > self.after


def entries(session: TenantSession, tables: Tables, filters: Filters, *, limit: int) -> list[Entry]:
    """Returns the entries of the session's tenant that *filters* want, *limit* at most."""
    table = tables.entries.c
    order = table.seq.desc() if filters.newest_first else table.seq
    wanted = select(*(table[name] for name in NAMES)).where(table.tenant_id == session.tenant.id)
    rows = session.execute(wanted.where(*filters.conditions(table)).order_by(order).limit(limit))
    return [entry_of(row) for row in rows]


def head(session: TenantSession, tables: Tables) -> Head | None:
    """Returns the end of the tenant's chain."""
    heads = tables.heads.c
    asked = select(heads.seq, heads.digest, heads.recorded_at).where(tables.own_head(session.tenant.id))
    row = session.execute(asked).one_or_none()
    return None if row is None else Head(row.seq, row.digest, row.recorded_at)
