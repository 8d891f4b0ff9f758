"""How drafts become entries: the end of the tenant's chain is locked, moved on, and let go at the commit."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from tenantry.audit.digests import GENESIS, Keys, content_digest, entry_digest, new_salt
from tenantry.audit.entries import EPOCH, Draft, Head, Tables
from tenantry.models.columns import utc_now


@dataclass(frozen=True, slots=True)
class Chain:
    """One tenant's chain, as a session or a connection reaches it."""

    through: Session | Connection
    tenant: uuid.UUID
    tables: Tables
    keys: Keys

    def seal(self, drafts: Sequence[Draft]) -> tuple[Head, Head]:
        """Writes *drafts* to the end of the chain and returns where it ended before and where it ends now.

        The row that is locked here is the last that the transaction locks, where it is called at the commit; so two
        transactions cannot wait for each other over it, and each holds it for two short statements, or three.
        """
        before, now = self.lock()
        rows = list(self._chained(drafts, before, max(now, before.recorded_at)))
        after = Head(rows[-1]["seq"], rows[-1]["digest"], rows[-1]["recorded_at"])
        self._write(rows, after)
        return before, after

    def lock(self) -> tuple[Head, datetime.datetime]:
        """Returns the end of the chain, locked until the transaction ends, and the database's time."""
        found = self._locked()
        if found is None:
            self._begin()
            found = self._locked()
        assert found is not None  # noqa: S101  # made a statement ago, here or in a transaction that this one waited for
        return Head(found.seq, found.digest, found.recorded_at), getattr(found, "now", None) or utc_now()

    def _chained(self, drafts: Sequence[Draft], head: Head, now: datetime.datetime) -> Iterator[dict[str, Any]]:
        previous = head.digest
        for seq, draft in enumerate(drafts, head.seq + 1):
            row = {**draft.values, "tenant_id": self.tenant, "seq": seq, "recorded_at": now, "salt": new_salt()}
            row |= {"key_id": self.keys.current, "previous_digest": previous, "content_digest": content_digest(row)}
            row["digest"] = previous = entry_digest(self.keys, self.tenant, row)
            yield row

    def _write(self, rows: list[dict[str, Any]], after: Head) -> None:
        moved = {"new_seq": after.seq, "new_digest": after.digest, "new_recorded_at": after.recorded_at}
        moved["of_tenant_id"] = self.tenant
        if self._on_postgresql and len(rows) == 1:
            self.through.execute(
                self.tables.add_and_move, {**{f"of_{name}": value for name, value in rows[0].items()}, **moved}
            )
            return
        self.through.execute(insert(self.tables.entries), rows)
        self.through.execute(self.tables.move, moved)

    def _locked(self) -> Row[Any] | None:
        lock = self.tables.lock_and_tell_time if self._on_postgresql else self.tables.lock
        return self.through.execute(lock, {"of_tenant_id": self.tenant}).one_or_none()

    def _begin(self) -> None:
        beginning = {
            "tenant_id": self.tenant,
            "chain": self.tables.chain,
            "seq": 0,
            "digest": GENESIS,
            "recorded_at": EPOCH,
        }
        heads = self.tables.heads
        if self._on_postgresql:
            self.through.execute(postgresql.insert(heads).values(beginning).on_conflict_do_nothing())
        else:
            self.through.execute(insert(heads).values(beginning))

    @property
    def _on_postgresql(self) -> bool:
        bind = self.through.get_bind() if isinstance(self.through, Session) else self.through
        return bind.dialect.name == "postgresql"
