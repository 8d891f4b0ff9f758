"""Column types and mixins that mean the same on PostgreSQL and SQLite: times in UTC."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, declared_attr, mapped_column
from sqlalchemy.types import TypeDecorator


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """A point in time: takes aware datetimes, gives them back aware and in UTC on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Returns the time as the database keeps it.

        Raises: ValueError for a naive datetime.
        """
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value!r} says no time zone; use datetime.now(UTC), or .replace(tzinfo=...) first.")
        utc = value.astimezone(datetime.UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        """Returns the time aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=datetime.UTC) if dialect.name == "sqlite" else value.astimezone(datetime.UTC)


class CreatedAt:
    """``created_at``: when the row was written."""

    if TYPE_CHECKING:
        created_at: Mapped[datetime.datetime]
    else:

        @declared_attr
        @classmethod
        def created_at(cls):
            return mapped_column(UTCDateTime, nullable=False, default=utc_now, sort_order=90)


class Timestamps(CreatedAt):
    """``created_at`` and ``updated_at``: equal at insert, then ``updated_at`` follows each update."""

    if TYPE_CHECKING:
        updated_at: Mapped[datetime.datetime]
    else:

        @declared_attr
        @classmethod
        def updated_at(cls):
            return mapped_column(UTCDateTime, nullable=False, default=_created, onupdate=utc_now, sort_order=91)


def utc_now() -> datetime.datetime:
    """Returns the present time, aware and in UTC."""
    return datetime.datetime.now(datetime.UTC)


def _created(context: DefaultExecutionContext) -> datetime.datetime:
    created: datetime.datetime | None = context.get_current_parameters().get("created_at")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare
    return created or utc_now()
