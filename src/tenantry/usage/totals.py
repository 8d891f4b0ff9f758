"""Totals of what was used, by user, provider, model or day; where nothing was used they are nought, and not None."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, case, func, select

from tenantry.errors import InvalidUsage
from tenantry.session.core import TenantSession
from tenantry.usage.clock import Clock


@dataclass(frozen=True, slots=True)
class Total:
    """What some calls used; ``unpriced`` counts those that were recorded without a cost."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = field(default_factory=Decimal)
    unpriced: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Total) -> Total:
        return Total(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
            self.unpriced + other.unpriced,
        )


class Totals(dict[Any, Total]):
    """Totals by key; a key that used nothing has the total nought."""

    def __missing__(self, key: Any) -> Total:
        return Total()


@dataclass(frozen=True, slots=True)
class Span:
    """From when, inclusive, until when, exclusive; None is open."""

    since: datetime.date | None
    until: datetime.date | None


class Summing:
    """Sums the records of a tenant up."""

    def __init__(self, records: Table, clock: Clock) -> None:
        self._table = records
        self._clock = clock

    def total(self, session: TenantSession, span: Span, only: dict[str, str | None]) -> Total:
        """Returns the total of the records in *span* that *only* describes."""
        statement = select(*self._sums()).where(*self._chosen(session, span, only))
        return _total(session.execute(statement).one())

    def totals(self, session: TenantSession, by: str, span: Span, only: dict[str, str | None]) -> Totals:
        """Returns the totals by ``"user"``, ``"provider"``, ``"model"`` (with its provider) or ``"day"``.

        Raises: InvalidUsage for anything else.
        """
        keys = self._keys(session, by)
        statement = select(*self._sums(), *keys).where(*self._chosen(session, span, only)).group_by(*keys)
        found = Totals()
        for day in self._days(span) if by == "day" else ():
            found[day] = Total()
        width = len(_SUMS)
        for row in session.execute(statement):
            key = self._clock.day(int(row[width])) if by == "day" else _key(row[width:])
            found[key] += _total(row[:width])
        return found

    def _keys(self, session: TenantSession, by: str) -> list[ColumnElement[Any]]:
        columns = self._table.c
        if by == "day":
            return [self._clock.slots(session, columns.created_at).label("slot")]
        if by not in _KEYS:
            raise InvalidUsage(reason=f"by={by!r} is no kind of total. Use one of {', '.join([*_KEYS, 'day'])}.")
        return [columns[name] for name in _KEYS[by]]

    def _sums(self) -> list[ColumnElement[Any]]:
        columns = self._table.c
        missing = func.sum(case((columns.cost.is_(None), 1), else_=0))
        return [func.count(), *(func.sum(columns[name]) for name in _SUMS[1:4]), missing]

    def _chosen(self, session: TenantSession, span: Span, only: dict[str, str | None]) -> Iterator[ColumnElement[bool]]:
        columns = self._table.c
        yield columns.tenant_id == session.tenant.id
        if span.since is not None:
            yield columns.created_at >= self._clock.instant(span.since)
        if span.until is not None:
            yield columns.created_at < self._clock.instant(span.until)
        for name, value in only.items():
            if value is not None:
                yield columns[name] == value

    def _days(self, span: Span) -> Iterator[datetime.date]:
        """Yields every day that a span closed on both sides touches."""
        if span.since is None or span.until is None:
            return
        first, end = (self._clock.instant(moment).astimezone(self._clock.zone) for moment in (span.since, span.until))
        # The end itself is outside, so a span that ends at midnight does not touch that day.
        last = (end - datetime.timedelta(microseconds=1)).date()
        for number in range((last - first.date()).days + 1):
            yield first.date() + datetime.timedelta(days=number)


_SUMS: Final = ("requests", "prompt_tokens", "completion_tokens", "cost", "unpriced")
_KEYS: Final = {"user": ("user_id",), "provider": ("provider",), "model": ("provider", "model")}


def _key(parts: Any) -> Any:
    return parts[0] if len(parts) == 1 else tuple(parts)


def _total(row: Any) -> Total:
    requests, prompt, completion, cost, unpriced = row
    # Over no rows a sum is NULL.
    return Total(requests, int(prompt or 0), int(completion or 0), cost or Decimal(0), int(unpriced or 0))
