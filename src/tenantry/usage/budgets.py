"""Budgets: a counter row for each period, which one conditional UPDATE decides about."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func, insert, literal, or_, select, update
from sqlalchemy.dialects import postgresql

from tenantry.errors import BudgetExceeded
from tenantry.session.clock import on_postgresql
from tenantry.session.core import TenantSession
from tenantry.usage.clock import Clock
from tenantry.usage.money import Money, rounded
from tenantry.usage.tables import Tables

# Everybody takes the rows in this order, so that no two wait for each other.
PERIODS: Final = ("day", "month", "total")
_NOTHING: Final = literal(Decimal(0), Money())


@dataclass(frozen=True, slots=True)
class Amount:
    """Money and tokens together."""

    cost: Decimal
    tokens: int


NOUGHT: Final = Amount(Decimal(0), 0)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one period allows and what of it is used, reservations included; a limit of None limits nothing."""

    period: str
    hard: bool
    cost_limit: Decimal | None
    token_limit: int | None
    cost: Decimal
    tokens: int

    def left(self, measure: str) -> Decimal | int | None:
        """Returns how much of the cost or the tokens is left, never less than nought; None without a limit."""
        limit, used = self.of(measure)
        return None if limit is None else max(limit - used, type(limit)(0))

    def of(self, measure: str) -> tuple[Decimal | int | None, Decimal | int]:
        """Returns the limit of the cost or the tokens, and what is used."""
        return (self.cost_limit, self.cost) if measure == "cost" else (self.token_limit, self.tokens)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A part of a budget that was just reached."""

    period: str
    measure: str
    fraction: Decimal
    limit: Decimal | int
    used: Decimal | int


OnThreshold = Callable[[TenantSession, Threshold], Any]


class Budgets:
    """The budgets of tenants; each method runs in the transaction of the session it is given."""

    def __init__(
        self, tables: Tables, clock: Clock, *, warn_at: Sequence[Decimal], on_threshold: OnThreshold | None
    ) -> None:
        self._tables = tables
        self._table = tables.budgets
        self._clock = clock
        self._warn_at = tuple(warn_at)
        self._on_threshold = on_threshold

    def set(
        self, session: TenantSession, period: str, *, cost: Decimal | None, tokens: int | None, hard: bool
    ) -> Budget:
        """Sets the limits of a period; a new budget begins with what the period has used already."""
        limits = {"cost_limit": cost, "token_limit": tokens, "hard": hard}
        changed = session.execute(update(self._table).where(*self._own(session, period)).values(limits))
        if changed.rowcount == 0:  # type: ignore[attr-defined]  # a CursorResult, as of every UPDATE
            self._insert(session, period, limits)
        return self.all(session)[period]

    def drop(self, session: TenantSession, period: str) -> None:
        """Takes the budget of a period away."""
        session.execute(self._table.delete().where(*self._own(session, period)))

    def all(self, session: TenantSession) -> dict[str, Budget]:
        """Returns every budget by its period, as it stands now."""
        found = {}
        for period in PERIODS:
            columns = self._table.c
            cost, tokens, _ = self._rolled(session, period)
            limits = (columns.period, columns.hard, columns.cost_limit, columns.token_limit)
            row = session.execute(select(*limits, cost, tokens).where(*self._own(session, period))).first()
            if row is not None:
                found[period] = Budget(*row)
        return found

    def recount(self, session: TenantSession) -> None:
        """Counts every budget anew from the records and the reservations."""
        for period in PERIODS:
            # Taken first: what others have under way is either counted or waits.
            session.execute(update(self._table).where(*self._own(session, period)).values(hard=self._table.c.hard))
            used = self._used(session, period)
            values = {"cost": used.cost, "tokens": used.tokens, "began_at": self._clock.start(session, period)}
            session.execute(update(self._table).where(*self._own(session, period)).values(values))

    def spend(self, session: TenantSession, amount: Amount, *, free: Callable[[], int]) -> None:
        """Takes *amount* from every budget or from none; *free* gives back what expired, when a budget is short.

        Raises: BudgetExceeded.
        """
        taken: list[Budget] = []
        for period in self._present(session):
            row = self._take(session, period, amount)
            if row is None and free():
                row = self._take(session, period, amount)
            if row is None:
                self._give_back(session, taken, amount)
                raise self._exceeded(session, period, amount)
            taken.append(Budget(*row))
        for threshold in self._reached(taken, amount):
            self._on_threshold(session, threshold)  # type: ignore[misc]  # nothing is reached where nobody listens

    def correct(self, session: TenantSession, amount: Amount, *, held: Amount, since: datetime.datetime | None) -> None:
        """Takes *amount* from every budget whatever is left, and gives back what was held since that time."""
        counted: list[Budget] = []
        for period in self._present(session):
            cost, tokens, began = self._rolled(session, period)
            if since is not None:
                still = began <= since
                cost = cost - case((still, literal(held.cost, Money())), else_=_NOTHING)
                tokens = tokens - case((still, held.tokens), else_=0)
            values = {"cost": cost + literal(amount.cost, Money()), "tokens": tokens + amount.tokens}
            row = session.execute(self._change(session, period, {**values, "began_at": began})).first()
            if row is not None:
                counted.append(Budget(*row))
        grown = Amount(amount.cost - held.cost, amount.tokens - held.tokens)
        for threshold in self._reached(counted, grown):
            self._on_threshold(session, threshold)  # type: ignore[misc]  # as above

    def _present(self, session: TenantSession) -> list[str]:
        columns = self._table.c
        found = session.scalars(select(columns.period).where(columns.tenant_id == session.tenant.id)).all()
        return [period for period in PERIODS if period in found]

    def _take(self, session: TenantSession, period: str, amount: Amount) -> Any:
        columns = self._table.c
        cost, tokens, began = self._rolled(session, period)
        cost, tokens = cost + literal(amount.cost, Money()), tokens + amount.tokens
        fits = (
            or_(columns.hard.is_(False), columns.cost_limit.is_(None), cost <= columns.cost_limit),
            or_(columns.hard.is_(False), columns.token_limit.is_(None), tokens <= columns.token_limit),
        )
        values = {"cost": cost, "tokens": tokens, "began_at": began}
        return session.execute(self._change(session, period, values).where(*fits)).first()

    def _give_back(self, session: TenantSession, taken: Sequence[Budget], amount: Amount) -> None:
        columns = self._table.c
        values = {"cost": columns.cost - literal(amount.cost, Money()), "tokens": columns.tokens - amount.tokens}
        for budget in taken:
            session.execute(self._change(session, budget.period, values))

    def _change(self, session: TenantSession, period: str, values: dict[str, Any]) -> Any:
        columns = self._table.c
        limits = (columns.period, columns.hard, columns.cost_limit, columns.token_limit)
        statement = update(self._table).where(*self._own(session, period)).values(values)
        return statement.returning(*limits, columns.cost, columns.tokens)

    def _rolled(self, session: TenantSession, period: str) -> tuple[ColumnElement[Any], ...]:
        """Returns the cost, the tokens and the beginning of the present period, whenever the row was last changed."""
        columns, start = self._table.c, self._clock.start(session, period)
        over = columns.began_at < start
        return (
            case((over, _NOTHING), else_=columns.cost),
            case((over, 0), else_=columns.tokens),
            case((over, start), else_=columns.began_at),
        )

    def _insert(self, session: TenantSession, period: str, limits: dict[str, Any]) -> None:
        used = self._used(session, period)
        counted = {"cost": used.cost, "tokens": used.tokens, "began_at": self._clock.start(session, period)}
        row = {"tenant_id": session.tenant.id, "period": period, **counted, **limits}
        if on_postgresql(session):
            keys = ["tenant_id", "period"]
            statement = postgresql.insert(self._table).values(row)
            session.execute(statement.on_conflict_do_update(index_elements=keys, set_=limits))
        else:
            session.execute(insert(self._table).values(row))

    def _used(self, session: TenantSession, period: str) -> Amount:
        start = self._clock.start(session, period)
        records, held = self._tables.records.c, self._tables.reservations.c
        recorded = select(func.sum(records.cost), func.sum(records.total_tokens)).where(records.created_at >= start)
        reserved = select(func.sum(held.cost), func.sum(held.tokens)).where(held.reserved_at >= start)
        sums = [
            _sums(session, recorded.where(records.tenant_id == session.tenant.id)),
            _sums(session, reserved.where(held.tenant_id == session.tenant.id)),
        ]
        return Amount(sum((part.cost for part in sums), Decimal(0)), sum(part.tokens for part in sums))

    def _own(self, session: TenantSession, period: str) -> tuple[ColumnElement[bool], ...]:
        return self._table.c.tenant_id == session.tenant.id, self._table.c.period == period

    def _reached(self, budgets: Sequence[Budget], grown: Amount) -> Iterator[Threshold]:
        for budget in budgets if self._on_threshold is not None else ():
            for measure, growth in (("cost", grown.cost), ("tokens", grown.tokens)):
                limit, used = budget.of(measure)
                for fraction in self._warn_at if limit is not None else ():
                    if used - growth < fraction * limit <= used:  # type: ignore[operator]  # both Decimal or whole
                        yield Threshold(budget.period, measure, fraction, limit, used)  # type: ignore[arg-type]  # not None

    def _exceeded(self, session: TenantSession, period: str, amount: Amount) -> BudgetExceeded:
        budget = self.all(session)[period]
        short = budget.cost_limit is not None and budget.cost + amount.cost > budget.cost_limit
        limit, spent = budget.of("cost" if short else "tokens")
        wait = self._clock.seconds_left(period)
        return BudgetExceeded(
            period=period,
            measure="in cost" if short else "tokens",
            limit=limit,
            spent=spent,
            wanted=amount.cost if short else amount.tokens,
            or_wait="" if wait is None else f", or wait until the next {period}",
            retry_after=wait,
        )


def _sums(session: TenantSession, statement: Select[Any]) -> Amount:
    cost, tokens = session.execute(statement).one()
    return Amount(rounded(cost or Decimal(0)), int(tokens or 0))
