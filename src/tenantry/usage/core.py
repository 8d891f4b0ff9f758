"""Usage: what a tenant's calls of language models used and cost, and what they may."""

from __future__ import annotations

import datetime
import functools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, delete, insert, literal, select

from tenantry.errors import InvalidUsage
from tenantry.ids import uuid7
from tenantry.models.columns import UTCDateTime
from tenantry.session.clock import on_postgresql
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy
from tenantry.usage.budgets import NOUGHT, PERIODS, Amount, Budget, Budgets, OnThreshold
from tenantry.usage.clock import Clock
from tenantry.usage.money import LARGEST, rounded
from tenantry.usage.prices import Prices, price_of
from tenantry.usage.tables import declare
from tenantry.usage.totals import Span, Summing, Total, Totals

if TYPE_CHECKING:
    from tenantry.usage.aio import AsyncUsage

# Sums of as many calls as there may be stay within 64 bits.
_MOST_TOKENS: Final = 10**12
_LONGEST: Final = 255
_WARN_AT: Final = (Decimal("0.8"), Decimal(1))


@dataclass(frozen=True, slots=True)
class Call:
    """Which call of a model it is: whose, and for what."""

    provider: str
    model: str
    user_id: str | None = None
    operation: str | None = None
    operation_id: str | None = None


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What one call used; the cost is None where no price was known and none was needed."""

    id: uuid.UUID
    call: Call
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held back for a call under way, until it is settled, cancelled, or has expired."""

    call: Call
    held: Amount
    id: uuid.UUID = field(default_factory=uuid7)


class Usage:
    """Meters tokens and their cost for each tenant, sums them up, and keeps them within budgets.

    A call of a model without a price is refused; with *unpriced* it is recorded without a cost. *on_threshold* is
    called in the spending transaction, once, when a budget reaches one of the fractions *warn_at*. Days and months
    are those of *zone*. With *append_only* no record is ever changed or deleted but by ``tenancy.purge``.

    Raises: ConfigurationError for a zone that nobody knows, and as ``Tenancy.table``.
    """

    def __init__(
        self,
        tenancy: Tenancy,
        *,
        prices: Prices | None = None,
        unpriced: bool = False,
        on_threshold: OnThreshold | None = None,
        warn_at: Sequence[Decimal] = _WARN_AT,
        zone: str = "UTC",
        append_only: bool = False,
        table: str = "usage_records",
        budgets_table: str = "usage_budgets",
        reservations_table: str = "usage_reservations",
    ) -> None:
        self._prices = dict(prices or {})
        self._unpriced = unpriced
        self._clock = Clock(zone)
        tables = declare(
            tenancy, records=table, budgets=budgets_table, reservations=reservations_table, append_only=append_only
        )
        self._records, self._held = tables.records, tables.reservations
        self._budgets = Budgets(tables, self._clock, warn_at=warn_at, on_threshold=on_threshold)
        self._summing = Summing(tables.records, self._clock)

    def __repr__(self) -> str:
        return f"<Usage in {self._records.name!r}>"

    @functools.cached_property
    def aio(self) -> AsyncUsage:
        """The same, awaited.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.usage.aio import AsyncUsage  # noqa: PLC0415  # needs greenlet, which not every installation has

        return AsyncUsage(self)

    def record(
        self,
        session: TenantSession,
        *,
        provider: str,
        model: str,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cost: Decimal | None = None,
        user_id: object = None,
        operation: str | None = None,
        operation_id: str | None = None,
        at: datetime.datetime | None = None,
    ) -> UsageRecord:
        """Records a call and takes what it used from the budgets; *cost* is taken from the prices unless given.

        The user is ``session.info["actor"]`` unless given. A call with *at* is history: no budget is asked.

        Raises: PriceUnknown, BudgetExceeded, InvalidUsage.
        """
        call = _call(session, provider, model, user_id, operation, operation_id)
        made = self._measured(call, prompt_tokens, completion_tokens, cost)
        if at is None:
            self._budgets.spend(session, _amount(made), free=lambda: self.release_expired(session))
        self._insert(
            session, made, self._clock.now(session) if at is None else literal(self._clock.instant(at), UTCDateTime())
        )
        return made

    def reserve(
        self,
        session: TenantSession,
        *,
        provider: str,
        model: str,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cost: Decimal | None = None,
        user_id: object = None,
        operation: str | None = None,
        operation_id: str | None = None,
        seconds: float = 600.0,
    ) -> Reservation:
        """Holds back what a call may use at most, before it is made; it expires after *seconds*.

        Raises: as ``record``.
        """
        call = _call(session, provider, model, user_id, operation, operation_id)
        made = Reservation(call, _amount(self._measured(call, prompt_tokens, completion_tokens, cost)))
        self._budgets.spend(session, made.held, free=lambda: self.release_expired(session))
        row = {"id": made.id, "tenant_id": session.tenant.id, "cost": made.held.cost, "tokens": made.held.tokens}
        times = {"reserved_at": self._clock.now(session), "expires_at": self._clock.now(session, later=seconds)}
        session.execute(insert(self._held).values({**row, **times}))
        return made

    def settle(
        self,
        session: TenantSession,
        reservation: Reservation,
        *,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cost: Decimal | None = None,
    ) -> UsageRecord:
        """Records what the call used in truth, over the budget or not; settling it again gives the first record.

        Raises: PriceUnknown, InvalidUsage.
        """
        made = self._measured(reservation.call, prompt_tokens, completion_tokens, cost, as_id=reservation.id)
        held, since = self._take_back(session, reservation)
        if since is None and (found := self._settled(session, reservation)):
            return found
        self._budgets.correct(session, _amount(made), held=held, since=since)
        self._insert(session, made, self._clock.now(session))
        return made

    def cancel(self, session: TenantSession, reservation: Reservation) -> None:
        """Gives back what is held for a call that was not made."""
        held, since = self._take_back(session, reservation)
        if since is not None:
            self._budgets.correct(session, NOUGHT, held=held, since=since)

    def release_expired(self, session: TenantSession) -> int:
        """Gives back what is held for calls that were never settled, and says for how many; short budgets ask it."""
        columns = self._held.c
        own = columns.tenant_id == session.tenant.id
        expired = select(columns.id).where(own, columns.expires_at <= self._clock.now(session))
        if on_postgresql(session):
            # Whoever settles one at this moment may be waiting for a budget that this transaction holds.
            expired = expired.with_for_update(skip_locked=True)
        statement = delete(self._held).where(own, columns.id.in_(expired))
        gone = session.execute(statement.returning(columns.cost, columns.tokens, columns.reserved_at)).all()
        for cost, tokens, since in gone:
            self._budgets.correct(session, NOUGHT, held=Amount(cost, tokens), since=since)
        return len(gone)

    def total(
        self,
        session: TenantSession,
        *,
        since: datetime.date | None = None,
        until: datetime.date | None = None,
        user_id: object = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> Total:
        """Returns what the calls from *since* until before *until* used; nought where there were none."""
        return self._summing.total(session, Span(since, until), _only(user_id, provider, model))

    def totals(
        self,
        session: TenantSession,
        *,
        by: str,
        since: datetime.date | None = None,
        until: datetime.date | None = None,
        user_id: object = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> Totals:
        """Returns the same by ``"user"``, ``"provider"``, ``"model"`` (as a pair with its provider) or ``"day"``.

        With both ends given, days on which nothing was used are there too.

        Raises: InvalidUsage for any other *by*.
        """
        return self._summing.totals(session, by, Span(since, until), _only(user_id, provider, model))

    def set_budget(
        self,
        session: TenantSession,
        period: str,
        *,
        cost: Decimal | None = None,
        tokens: int | None = None,
        hard: bool = True,
    ) -> Budget:
        """Sets what a ``"day"``, a ``"month"`` or all time (``"total"``) may use; one that is not *hard* only warns.

        Raises: InvalidUsage for another period, or limits that are none.
        """
        _check_budget(period, cost, tokens)
        return self._budgets.set(session, period, cost=cost, tokens=tokens, hard=hard)

    def drop_budget(self, session: TenantSession, period: str) -> None:
        """Takes the budget of a period away, if there is one."""
        self._budgets.drop(session, period)

    def budgets(self, session: TenantSession) -> dict[str, Budget]:
        """Returns the budgets by their periods, each with what is used of it."""
        return self._budgets.all(session)

    def recount(self, session: TenantSession) -> dict[str, Budget]:
        """Counts the budgets anew from the records, as after an import of history."""
        self._budgets.recount(session)
        return self._budgets.all(session)

    def _measured(
        self, call: Call, prompt: int, completion: int, cost: Decimal | None, *, as_id: uuid.UUID | None = None
    ) -> UsageRecord:
        for name, tokens in (("prompt_tokens", prompt), ("completion_tokens", completion)):
            if not isinstance(tokens, int) or not 0 <= tokens <= _MOST_TOKENS:
                raise InvalidUsage(reason=f"{name}={tokens!r}. Give a whole number from nought to {_MOST_TOKENS}.")
        if cost is None and not (self._unpriced and not self._has_price(call)):
            cost = price_of(self._prices, call.provider, call.model).of(prompt, completion)
        return UsageRecord(as_id or uuid7(), call, prompt, completion, None if cost is None else _checked(cost))

    def _has_price(self, call: Call) -> bool:
        return (call.provider, call.model) in self._prices or call.provider in self._prices

    def _insert(self, session: TenantSession, made: UsageRecord, at: ColumnElement[datetime.datetime]) -> None:
        call = {name: getattr(made.call, name) for name in Call.__slots__}
        counted = {"prompt_tokens": made.prompt_tokens, "completion_tokens": made.completion_tokens}
        rest = {"total_tokens": made.total_tokens, "cost": made.cost, "created_at": at}
        row = {"id": made.id, "tenant_id": session.tenant.id, **call, **counted, **rest}
        session.execute(insert(self._records).values(row))

    def _take_back(self, session: TenantSession, reservation: Reservation) -> tuple[Amount, datetime.datetime | None]:
        columns = self._held.c
        statement = delete(self._held).where(columns.tenant_id == session.tenant.id, columns.id == reservation.id)
        row = session.execute(statement.returning(columns.cost, columns.tokens, columns.reserved_at)).first()
        return (NOUGHT, None) if row is None else (Amount(row.cost, row.tokens), row.reserved_at)

    def _settled(self, session: TenantSession, reservation: Reservation) -> UsageRecord | None:
        columns = self._records.c
        own = (columns.tenant_id == session.tenant.id, columns.id == reservation.id)
        statement = select(columns.prompt_tokens, columns.completion_tokens, columns.cost).where(*own)
        row = session.execute(statement).first()
        return None if row is None else UsageRecord(reservation.id, reservation.call, *row)


def _call(
    session: TenantSession,
    provider: str,
    model: str,
    user_id: object,
    operation: str | None,
    operation_id: str | None,
) -> Call:
    if not provider or not model:
        raise InvalidUsage(reason="it names no provider or no model. Give both.")
    user = session.info.get("actor") if user_id is None else user_id
    call = Call(provider, model, None if user is None else str(user), operation, operation_id)
    for name in Call.__slots__:
        said = getattr(call, name)
        if said is not None and (len(said) > _LONGEST or "\0" in said):
            raise InvalidUsage(reason=f"{name} is too long, or no text. Give at most {_LONGEST} characters.")
    return call


def _amount(made: UsageRecord) -> Amount:
    return Amount(made.cost or Decimal(0), made.total_tokens)


def _only(user_id: object, provider: str | None, model: str | None) -> dict[str, str | None]:
    return {"user_id": None if user_id is None else str(user_id), "provider": provider, "model": model}


def _checked(cost: Decimal) -> Decimal:
    if not isinstance(cost, Decimal) or not cost.is_finite() or not 0 <= cost <= LARGEST:
        raise InvalidUsage(reason=f"cost={cost!r}. Give a Decimal from nought to {LARGEST}.")
    return rounded(cost)


def _check_budget(period: str, cost: Decimal | None, tokens: int | None) -> None:
    if period not in PERIODS:
        raise InvalidUsage(reason=f"there are no budgets by {period!r}. Use one of {', '.join(PERIODS)}.")
    if cost is None and tokens is None:
        raise InvalidUsage(reason="the budget limits nothing. Give cost=, tokens= or both.")
    if cost is not None:
        _checked(cost)
    if tokens is not None and (not isinstance(tokens, int) or not 0 <= tokens < 2**63):
        raise InvalidUsage(reason=f"tokens={tokens!r}. Give a whole number of nought or more.")
