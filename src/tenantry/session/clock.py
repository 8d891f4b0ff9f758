"""The database's own time, so that machines whose clocks differ agree; SQLite's is this machine's."""

from __future__ import annotations

import datetime

from sqlalchemy import ColumnElement, Interval, func, literal, type_coerce
from sqlalchemy.orm import Session

from tenantry.models.columns import UTCDateTime, utc_now


def on_postgresql(session: Session) -> bool:
    """Whether the session's rows are in PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


def moment(session: Session, *, later: float = 0.0) -> ColumnElement[datetime.datetime]:
    """Returns the time at which the database reads it, so many seconds later, as a part of a statement."""
    shift = datetime.timedelta(seconds=later)
    if on_postgresql(session):
        return type_coerce(func.clock_timestamp() + literal(shift, Interval()), UTCDateTime())
    return literal(utc_now() + shift, UTCDateTime())
