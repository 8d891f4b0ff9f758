"""Attempts to log in, counted by name before anybody looks whether the password is right."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Integer, String, case, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tenantry.models import Ownership, UTCDateTime
from tenantry.session.clock import moment, on_postgresql
from tenantry.tenancy import Tenancy


class Attempts:
    """Allows a name so many attempts in so much time, whether or not there is such an account; the caller commits."""

    def __init__(self, tenancy: Tenancy, table: str, *, most: int, within: timedelta) -> None:
        self._most, self._within = most, within.total_seconds()
        self.table = tenancy.table(
            table,
            Column("digest", String(64), primary_key=True),
            Column("made", Integer, nullable=False),
            Column("ends_at", UTCDateTime, nullable=False, index=True),
            behaviour="LogIns",
            owner=Ownership.PLATFORM,
        )

    def take(self, session: Session, name: str) -> datetime | None:
        """Counts one attempt, and returns None, or until when no more are looked at."""
        columns, now = self.table.c, moment(session)
        ends_at = moment(session, later=self._within)
        dialect: Any = postgresql if on_postgresql(session) else sqlite
        over = columns.ends_at <= now
        # One statement counts and decides, so that many at once get no more than one after the other.
        first = dialect.insert(self.table).values(digest=_digest(name), made=1, ends_at=ends_at)
        counted = first.on_conflict_do_update(
            index_elements=[columns.digest],
            set_={
                "made": case((over, 1), else_=columns.made + 1),
                "ends_at": case((over, ends_at), else_=columns.ends_at),
            },
        )
        row = session.execute(counted.returning(columns.made, columns.ends_at)).one()
        return row.ends_at if row.made > self._most else None

    def forget(self, session: Session, name: str) -> None:
        """Forgets the attempts by a name, since one of them was right."""
        session.execute(delete(self.table).where(self.table.c.digest == _digest(name)))

    def remove_expired(self, session: Session) -> None:
        """Deletes what counts no more."""
        session.execute(delete(self.table).where(self.table.c.ends_at <= moment(session)))


def _digest(name: str) -> str:
    # However a name is written, it is the same account's; kept as a digest, since some are people's addresses.
    folded = unicodedata.normalize("NFKC", name).casefold().strip()
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()
