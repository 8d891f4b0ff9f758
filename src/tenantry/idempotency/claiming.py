"""The statements on the keys' table: one that decides who is first, and what is read and written besides."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, delete, func, insert, literal, null, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from tenantry.errors import (
    IdempotencyConflict,
    IdempotencyInFlight,
    IdempotencyUnfinished,
    InvalidIdempotencyKey,
)
from tenantry.models import TENANT_COLUMN
from tenantry.models.columns import utc_now
from tenantry.models.payloads import digest_of
from tenantry.session.clock import moment, on_postgresql
from tenantry.session.core import TenantSession

_LONGEST: Final = 255
_RETRY_AFTER: Final = 1.0
_BETWEEN_LOOKS: Final = 0.02
# What PostgreSQL says to a transaction whose snapshot is older than the row that it needs.
_SERIALIZATION_FAILURE: Final = "40001"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call asks for: its key, where that counts, and the digest of its payload."""

    scope: str
    key: str
    digest: str

    @classmethod
    def of(cls, key: str, *, scope: str, payload: Any = None) -> Ask:
        """Returns what is asked.

        Raises: InvalidIdempotencyKey, PayloadRefused.
        """
        digest = digest_of(payload, what="The payload")
        return cls(_checked("scope", scope), _checked("key", key), digest)

    def lock_of(self, tenant: uuid.UUID) -> int:
        """Returns the key of the advisory lock that whoever is at work on it holds."""
        parts = (str(part).encode() for part in (tenant, self.scope, self.key))
        digest = hashlib.blake2b(b"\0".join(parts), digest_size=8, person=b"idempotency")
        return int.from_bytes(digest.digest(), signed=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """What stands under a key: the digest of the payload, and the answer once there is one."""

    digest: str
    answer: Any


class Keys:
    """The table of keys; every method works in the session's transaction and on its tenant's rows."""

    def __init__(self, table: Table, expires_after: datetime.timedelta) -> None:
        self.table = table
        self._expires_after = expires_after

    def take(self, session: TenantSession, ask: Ask, *, wait: float) -> Kept | None:
        """Returns None to whoever is first, and to all others what the first one left.

        Raises: IdempotencyConflict, IdempotencyInFlight, IdempotencyUnfinished.
        """
        deadline = time.monotonic() + wait
        while not self._claim(session, ask):
            kept = self.find(session, ask)
            if kept is not None:
                return _fitting(kept, ask)
            if time.monotonic() >= deadline:
                raise IdempotencyInFlight(key=ask.key, retry_after=_RETRY_AFTER)
            _pause(session)
        return None

    def find(self, session: TenantSession, ask: Ask) -> Kept | None:
        """Returns the digest and the answer that count under a key."""
        found = select(self.table.c.digest, self.table.c.answer).where(self._named(session, ask))
        row = session.execute(found.where(self.table.c.expires_at > moment(session))).one_or_none()
        return None if row is None else Kept(row.digest, row.answer)

    def answer(self, session: TenantSession, ask: Ask, answer: Any) -> None:
        """Keeps an answer; it stands in an object, as a bare number would lose digits on SQLite."""
        kept = update(self.table).where(self._named(session, ask)).values(answer={"answer": answer})
        session.execute(kept)

    def forget(self, session: TenantSession, ask: Ask) -> bool:
        """Removes a key and returns whether it was there."""
        gone = delete(self.table).where(self._named(session, ask)).returning(self.table.c.key)
        return session.execute(gone).first() is not None

    def purge(self, session: TenantSession, limit: int) -> int:
        """Removes expired keys and returns how many."""
        mine = self.table.c[TENANT_COLUMN] == session.tenant.id
        expired = select(self.table.c.scope, self.table.c.key).where(mine, self.table.c.expires_at <= moment(session))
        found = session.execute(expired.order_by(self.table.c.expires_at).limit(limit)).all()
        asks = [Ask(row.scope, row.key, "") for row in found]
        return sum(self._purge_one(session, ask) for ask in asks)

    def _claim(self, session: TenantSession, ask: Ask) -> bool:
        if not on_postgresql(session):
            return self._claim_alone(session, ask)
        # The lock tells a transaction at work from one that has ended, without waiting as the insert itself would.
        row = self._row(session, ask)
        named = [literal(value, self.table.c[name].type) for name, value in row.items() if name not in _TIMES]
        times = [row[name] for name in _TIMES]
        free = select(*named, *times).where(func.pg_try_advisory_xact_lock(ask.lock_of(session.tenant.id)))
        columns = [*(name for name in row if name not in _TIMES), *_TIMES]
        inserted = postgresql.insert(self.table).from_select(columns, free)
        statement = inserted.on_conflict_do_update(
            index_elements=list(self.table.primary_key),
            set_={**{name: row[name] for name in ("digest", *_TIMES)}, "answer": null()},
            where=self.table.c.expires_at <= moment(session),
        )
        return session.execute(statement.returning(self.table.c.key)).first() is not None

    def _claim_alone(self, session: TenantSession, ask: Ask) -> bool:
        # A writing transaction of SQLite has the file to itself, and its views know no ON CONFLICT.
        found = select(self.table.c.expires_at).where(self._named(session, ask))
        expires_at = session.scalars(found).one_or_none()
        if expires_at is not None and expires_at > utc_now():
            return False
        if expires_at is not None:
            self.forget(session, ask)
        session.execute(insert(self.table).values(self._row(session, ask)))
        return True

    def _row(self, session: TenantSession, ask: Ask) -> dict[str, Any]:
        named = {TENANT_COLUMN: session.tenant.id, "scope": ask.scope, "key": ask.key, "digest": ask.digest}
        return {
            **named,
            "created_at": moment(session),
            "expires_at": moment(session, later=self._expires_after.total_seconds()),
        }

    def _named(self, session: TenantSession, ask: Ask) -> ColumnElement[bool]:
        columns = self.table.c
        mine = columns[TENANT_COLUMN] == session.tenant.id
        return mine & (columns.scope == ask.scope) & (columns.key == ask.key)

    def _purge_one(self, session: TenantSession, ask: Ask) -> int:
        # Looked at again: by now another transaction may have taken the key anew.
        still = self._named(session, ask) & (self.table.c.expires_at <= moment(session))
        return len(session.execute(delete(self.table).where(still).returning(self.table.c.key)).all())


_TIMES: Final = ("created_at", "expires_at")


@contextlib.contextmanager
def typed(ask: Ask) -> Iterator[None]:
    """Says IdempotencyInFlight where the database says that another transaction was there first."""
    try:
        yield
    except DBAPIError as error:
        busy = str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
        overtaken = getattr(error.orig, "sqlstate", None) == _SERIALIZATION_FAILURE
        if not (busy or overtaken):
            raise
        raise IdempotencyInFlight(key=ask.key, retry_after=_RETRY_AFTER if busy else 0.0) from error


def _fitting(kept: Kept, ask: Ask) -> Kept:
    if kept.digest != ask.digest:
        raise IdempotencyConflict(key=ask.key)
    if kept.answer is None:
        raise IdempotencyUnfinished(key=ask.key)
    return kept


def _checked(part: str, text: str) -> str:
    if not isinstance(text, str):
        raise InvalidIdempotencyKey(part=part, reason=f"it is a {type(text).__name__}, not a str.")
    if part == "key" and not text:
        raise InvalidIdempotencyKey(part=part, reason="it is empty.")
    if len(text) > _LONGEST or not text.isprintable():
        raise InvalidIdempotencyKey(part=part, reason="it is too long, or holds what cannot be printed.")
    return text


def _pause(session: TenantSession) -> None:
    # The database sleeps, and so this waits on an event loop too without holding it up; nobody is waited for on SQLite.
    if on_postgresql(session):
        session.execute(select(func.pg_sleep(_BETWEEN_LOOKS)))
