"""What one transaction may use, and the count of what it has used: statements, rows, seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.exc import DBAPIError

from tenantry.errors import ConfigurationError, QueryTimeout, TransactionBudgetExceeded
from tenantry.limits.obeying import ask_at_begin
from tenantry.session.core import TenantSession

_QUERY_CANCELED: Final = "57014"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionBudget:
    """How many statements and rows, read or written, and how many seconds a transaction may use; None is no limit.

    Raises: ConfigurationError for a limit of nought or less.
    """

    statements: int | None = None
    rows: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("statements", "rows", "seconds"):
            limit = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ConfigurationError(what=f"{name}={limit} is no limit.", fix="Give more than 0, or None for none.")


class Metered:
    """Keeps every transaction of one session within a budget."""

    def __init__(self, session: TenantSession, budget: TransactionBudget, *, longest: float | None) -> None:
        self._budget = budget
        self._longest = longest
        self._meter: _Meter | None = None
        ask_at_begin(session, self._begin)

    def reading(self, error: BaseException) -> BaseException | None:
        """Returns what to raise for an error by which the database stopped the transaction at its limit, or None."""
        seconds = self._budget.seconds
        stopped = isinstance(error, QueryTimeout) or (
            isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED
        )
        if not stopped or seconds is None or self._meter is None or self._meter.elapsed < seconds:
            return None
        return self._meter.exceeded("seconds", round(self._meter.elapsed, 3), seconds)

    def _begin(self, connection: Connection) -> None:
        self._meter = None
        seconds = self._budget.seconds
        if seconds is not None and connection.dialect.name == "postgresql":
            shortest = min(seconds, self._longest or seconds)
            connection.execute(text(f"SET LOCAL statement_timeout = {max(1, int(shortest * 1000))}"))
        self._meter = _Meter(self._budget)
        event.listen(connection, "before_cursor_execute", self._meter.before)
        event.listen(connection, "after_cursor_execute", self._meter.after)


class _Meter:
    """Counts what one transaction uses, and stops it."""

    def __init__(self, budget: TransactionBudget) -> None:
        self._budget = budget
        self._began = time.monotonic()
        self._statements = 0
        self._rows = 0
        self._batch: ExecutionContext | None = None

    @property
    def elapsed(self) -> float:
        """The seconds since the transaction began."""
        return time.monotonic() - self._began

    def before(self, _: Connection, __: Any, ___: str, ____: Any, context: Any, many: bool) -> None:
        """Counts a statement before it is sent.

        Raises: TransactionBudgetExceeded.
        """
        if context is not self._batch:
            self._statements += 1
            # What inserts many rows comes in several messages.
            self._batch = context
            if many:
                self._rows += len(context.compiled_parameters if context.compiled else context.parameters)
        self._check("statements", self._statements, self._budget.statements)
        self._check("rows", self._rows, self._budget.rows)
        seconds = self._budget.seconds
        if seconds is not None and self.elapsed > seconds:
            raise self.exceeded("seconds", round(self.elapsed, 3), seconds)

    def after(self, _: Connection, cursor: Any, __: str, ___: Any, context: Any, many: bool) -> None:
        """Counts the rows that a statement wrote, and has those counted that are read of it.

        Raises: TransactionBudgetExceeded.
        """
        if many or self._budget.rows is None:
            return
        if cursor.description is None:
            self.count(max(0, cursor.rowcount))
        else:
            context.cursor = _CountedCursor(cursor, self)

    def count(self, rows: int) -> None:
        """Counts rows.

        Raises: TransactionBudgetExceeded.
        """
        self._rows += rows
        self._check("rows", self._rows, self._budget.rows)

    def exceeded(self, measure: str, used: float, limit: float) -> TransactionBudgetExceeded:
        """Returns the error that says what was used up."""
        return TransactionBudgetExceeded(measure=measure, used=used, limit=limit)

    def _check(self, measure: str, used: int, limit: int | None) -> None:
        if limit is not None and used > limit:
            raise self.exceeded(measure, used, limit)


class _CountedCursor:
    """A driver's cursor whose rows are counted as they are fetched."""

    def __init__(self, cursor: Any, meter: _Meter) -> None:
        self._cursor = cursor
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        for row in self._cursor:
            self._meter.count(1)
            yield row

    def fetchone(self) -> Any:
        row = self._cursor.fetchone()
        if row is not None:
            self._meter.count(1)
        return row

    def fetchmany(self, *size: Any) -> Any:
        rows = self._cursor.fetchmany(*size)
        self._meter.count(len(rows))
        return rows

    def fetchall(self) -> Any:
        rows = self._cursor.fetchall()
        self._meter.count(len(rows))
        return rows
