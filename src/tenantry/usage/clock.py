"""Times by the database's clock, and the days and months of a time zone."""

from __future__ import annotations

import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import BigInteger, ColumnElement, Interval, cast, func, literal, type_coerce
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError, InvalidUsage
from tenantry.models.columns import UTCDateTime, utc_now
from tenantry.session.clock import on_postgresql

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
# Every zone's distance from UTC is a multiple of it.
_QUARTER: Final = 900
_DAY: Final = 86_400


class Clock:
    """Says what time it is and when periods begin, in one time zone.

    Raises: ConfigurationError for a zone that nobody knows.
    """

    def __init__(self, zone: str) -> None:
        self._name = zone
        try:
            self.zone: datetime.tzinfo = datetime.UTC if zone == "UTC" else ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(
                what=f"zone={zone!r} is not a time zone that this machine knows.",
                fix="Give a name such as 'Europe/Berlin'; where no zones are installed, install the package tzdata.",
            ) from error

    def now(self, session: Session, *, later: float = 0.0) -> ColumnElement[datetime.datetime]:
        """Returns the time of the statement, some seconds later."""
        shift = datetime.timedelta(seconds=later)
        if on_postgresql(session):
            return type_coerce(func.statement_timestamp() + literal(shift, Interval()), UTCDateTime())
        return literal(utc_now() + shift, UTCDateTime())

    def start(self, session: Session, period: str) -> ColumnElement[datetime.datetime]:
        """Returns when the present day or month began; the total began before everything."""
        if period == "total":
            return literal(EPOCH, UTCDateTime())
        if on_postgresql(session):
            # One time for the whole statement, or a counter could turn over between two of its columns.
            began: ColumnElement[Any] = func.date_trunc(period, func.statement_timestamp(), self._name)
            return type_coerce(began, UTCDateTime())
        return literal(self.beginning(utc_now(), period), UTCDateTime())

    def beginning(self, moment: datetime.datetime, period: str) -> datetime.datetime:
        """Returns when the day or month of *moment* began."""
        midnight = moment.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if period == "day" else midnight.replace(day=1)

    def seconds_left(self, period: str) -> float | None:
        """Returns how long the present day or month lasts yet, and None for the total."""
        now = utc_now()
        if period == "total":
            return None
        # A day is at most 25 hours long, a month 31 days.
        within = self.beginning(now, period) + datetime.timedelta(days=1 if period == "day" else 31, hours=2)
        return max(0.0, (self.beginning(within, period) - now).total_seconds())

    def instant(self, moment: datetime.date) -> datetime.datetime:
        """Returns a datetime as it is, and a date as its midnight in the zone.

        Raises: InvalidUsage for a datetime without a time zone.
        """
        if isinstance(moment, datetime.datetime):
            if moment.utcoffset() is None:
                raise InvalidUsage(reason=f"{moment} says no time zone. Use datetime.now(UTC) or .replace(tzinfo=...).")
            return moment
        return datetime.datetime.combine(moment, datetime.time(), tzinfo=self.zone)

    @property
    def slot(self) -> int:
        """How many seconds lie in a slot; every day is made of whole ones."""
        return _DAY if self.zone is datetime.UTC else _QUARTER

    def slots(self, session: Session, moment: ColumnElement[Any]) -> ColumnElement[int]:
        """Returns the number of the slot in which a time lies."""
        if on_postgresql(session):
            return func.floor(func.extract("epoch", moment) / self.slot)
        # SQLite takes a time without a zone for one in UTC.
        return cast(func.strftime("%s", moment), BigInteger) // self.slot

    def day(self, slot: int) -> datetime.date:
        """Returns the day in which a slot lies."""
        return (EPOCH + datetime.timedelta(seconds=slot * self.slot)).astimezone(self.zone).date()
