"""The time by the database's clock, as an expression inside a statement."""

from __future__ import annotations

import datetime

from sqlalchemy import ColumnElement, Interval, func, literal, type_coerce
from sqlalchemy.orm import Session

from tenantry.models.columns import UTCDateTime, utc_now


def on_postgresql(session: Session) -> bool:
    """Whether the session's rows are in PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


def moment(session: Session, *, later: float = 0.0) -> ColumnElement[datetime.datetime]:
    """Returns the time at which the database reads it, some seconds later; on SQLite, this machine's."""
    shift = datetime.timedelta(seconds=later)
    if on_postgresql(session):
        return type_coerce(func.clock_timestamp() + literal(shift, Interval()), UTCDateTime())
    return literal(utc_now() + shift, UTCDateTime())


def seconds_until(moment: datetime.datetime | None) -> float | None:
    """Returns how long it is until then, never less than nought, and None for never."""
    return None if moment is None else max(0.0, (moment - utc_now()).total_seconds())
