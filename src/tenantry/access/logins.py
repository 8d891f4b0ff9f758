"""Log-ins: each begins with a password, goes on from one refresh token to the next, and ends for good."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Row, String, Text, Uuid, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from tenantry.models import Ownership, UTCDateTime
from tenantry.session.clock import moment
from tenantry.tenancy import Tenancy

_LONGEST: Final = 255
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class LogIn:
    """A log-in that has not ended: whose it is, and who acts in it where that is somebody else."""

    id: uuid.UUID
    subject: str
    tenant: uuid.UUID | None
    impersonator: str | None
    reason: str | None
    began_at: datetime
    expires_at: datetime


class LogIns:
    """Keeps log-ins and the digests of their refresh tokens, on the platform; the caller commits."""

    def __init__(self, tenancy: Tenancy, table: str) -> None:
        self.table = tenancy.table(
            table,
            Column("id", Uuid, primary_key=True),
            Column("subject", String(_LONGEST), nullable=False, index=True),
            Column("tenant", Uuid, index=True),
            Column("impersonator", String(_LONGEST), index=True),
            Column("reason", Text),
            Column("began_at", UTCDateTime, nullable=False),
            Column("expires_at", UTCDateTime, nullable=False, index=True),
            Column("ended_at", UTCDateTime),
            behaviour="LogIns",
            owner=Ownership.PLATFORM,
        )
        self.refreshes = tenancy.table(
            f"{table}_refreshes",
            Column("digest", String(64), primary_key=True),
            Column("login", Uuid, nullable=False, index=True),
            Column("used_at", UTCDateTime),
            behaviour="LogIns",
            owner=Ownership.PLATFORM,
        )

    def begin(
        self,
        session: Session,
        subject: str,
        *,
        tenant: uuid.UUID | None,
        lasts: timedelta,
        impersonator: str | None = None,
        reason: str | None = None,
    ) -> LogIn:
        """Returns a new log-in."""
        values = {
            "id": uuid.uuid4(),
            "subject": subject,
            "tenant": tenant,
            "impersonator": impersonator,
            "reason": reason,
            "began_at": moment(session),
            "expires_at": moment(session, later=lasts.total_seconds()),
        }
        return _login(session.execute(insert(self.table).values(values).returning(*self.table.c)).one())

    def standing(self, session: Session, login: uuid.UUID) -> LogIn | None:
        """Returns a log-in unless it has ended."""
        columns = self.table.c
        alive = (columns.id == login, columns.ended_at.is_(None), columns.expires_at > moment(session))
        found = session.execute(select(self.table).where(*alive)).first()
        return None if found is None else _login(found)

    def give_refresh(self, session: Session, login: LogIn) -> str:
        """Returns a new refresh token of a log-in; its digest alone is kept."""
        token = secrets.token_urlsafe(_BYTES)
        session.execute(insert(self.refreshes).values(digest=_digest(token), login=login.id))
        return token

    def use_refresh(self, session: Session, token: str) -> uuid.UUID | None:
        """Returns the log-in whose refresh token this is, and was for the last time, or None."""
        columns = self.refreshes.c
        unused = (columns.digest == _digest(token), columns.used_at.is_(None))
        # One statement decides, so that of two calls at once only one goes on.
        using = update(self.refreshes).where(*unused).values(used_at=moment(session)).returning(columns.login)
        found: uuid.UUID | None = session.scalars(using).first()
        return found

    def owner_of(self, session: Session, token: str) -> uuid.UUID | None:
        """Returns the log-in whose refresh token this is or was, or None."""
        columns = self.refreshes.c
        found: uuid.UUID | None = session.scalars(select(columns.login).where(columns.digest == _digest(token))).first()
        return found

    def end(self, session: Session, *conditions: ColumnElement[bool]) -> int:
        """Ends the log-ins that meet the conditions, and returns how many had not ended."""
        columns = self.table.c
        ending = update(self.table).where(columns.ended_at.is_(None), *conditions).values(ended_at=moment(session))
        return len(session.execute(ending.returning(columns.id)).all())

    def whose(self, subject: str) -> ColumnElement[bool]:
        """Returns the condition that a log-in is a subject's, or that it acts in it."""
        return or_(self.table.c.subject == subject, self.table.c.impersonator == subject)

    def remove(self, session: Session, *conditions: ColumnElement[bool]) -> int:
        """Deletes the log-ins that meet the conditions, with their refresh tokens, and returns how many there were."""
        columns = self.table.c
        gone = select(columns.id).where(*conditions)
        session.execute(delete(self.refreshes).where(self.refreshes.c.login.in_(gone)))
        return len(session.execute(delete(self.table).where(*conditions).returning(columns.id)).all())

    def remove_expired(self, session: Session) -> int:
        """Deletes the log-ins whose time is over, and returns how many there were."""
        return self.remove(session, self.table.c.expires_at <= moment(session))


def _login(row: Row[Any]) -> LogIn:
    return LogIn(row.id, row.subject, row.tenant, row.impersonator, row.reason, row.began_at, row.expires_at)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
