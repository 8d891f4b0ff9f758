"""What a rate may be: so many in each window, or a bucket that fills; and what a decision says. Times are in µs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from tenantry.errors import ConfigurationError, RateLimited

SECOND: Final = 1_000_000
PERIODS: Final = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "hourly": 3600,
    "day": 86_400,
    "daily": 86_400,
    "week": 604_800,
    "weekly": 604_800,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Above it, a number of Redis is no longer exact.
_LARGEST: Final = 2**53


@dataclass(frozen=True, slots=True)
class Limit:
    """At most *count* in each window of *per* seconds, or of a minute, hour, day or week by name; windows are UTC's.

    Raises: ConfigurationError for numbers that are no limit.
    """

    count: int
    per: float | str = 60
    # How long a window is, and what tells its state from that of another kind of limit.
    span: int = field(init=False, repr=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        span = _span(self.per)
        _check(self, 0 <= self.count < _LARGEST and 1 <= span < _LARGEST)
        _derive(self, span, f"window/{span}")

    @property
    def capacity(self) -> int:
        """How much can be had at once."""
        return self.count

    def weight(self, cost: int) -> int:
        """What *cost* adds to the state."""
        return cost


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """At most *burst* at once, and *rate* in every *per* seconds in the long run.

    One token comes at a time; the time between two is rounded up to a whole microsecond.

    Raises: ConfigurationError for numbers that are no limit.
    """

    rate: float
    burst: int
    per: float | str = 1
    # The time from one token to the next, and what tells its state from that of another kind of limit.
    span: int = field(init=False, repr=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        span = math.ceil(_span(self.per) / self.rate) if self.rate > 0 else 0
        _check(self, span >= 1 and 0 <= self.burst * span < _LARGEST // 2)
        _derive(self, span, f"bucket/{span}")

    @property
    def capacity(self) -> int:
        """How much can be had at once."""
        return self.burst

    def weight(self, cost: int) -> int:
        """What *cost* adds to the state: the time in which it comes back."""
        return cost * self.span


Rule = Limit | TokenBucket


@dataclass(frozen=True, slots=True)
class State:
    """What a store holds: a window ends at *until* and *used* is gone of it; a bucket is full at *until*.

    *seen* is the time of the last look, behind which no clock goes back.
    """

    used: int
    until: int
    seen: int
    granted: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may go ahead, and what the caller may be told about it.

    *remaining* is what is left, of *limit*, until *reset_at*, when all of it is back; *retry_after* is the number of
    seconds after which the same call may be granted, nought where it was. An uncounted one was let through while the
    store was down.
    """

    allowed: bool
    remaining: int
    limit: int
    reset_at: datetime
    retry_after: float
    counted: bool = True

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class RateUsage:
    """How far a limit is used, in the words of the tuple form."""

    resource_type: str
    limit_period: str
    limit_value: int
    current_count: int
    period_start: datetime
    period_end: datetime


def step(rule: Rule, state: State | None, *, cost: int, now: int, looking: bool = False) -> State:
    """Returns the state after *cost* was asked for, or only looked at: the one rule that every store follows."""
    now = max(now, state.seen) if state else now
    weight = rule.weight(cost)
    if isinstance(rule, TokenBucket):
        base = max(state.until, now) if state else now
        granted = base + weight - now <= rule.weight(rule.capacity)
        return State(0, base + weight if granted and not looking else base, now, granted)
    used, until = (state.used, state.until) if state and state.until > now else (0, _next(now, rule.span))
    granted = used + weight <= rule.capacity
    return State(used + weight if granted and not looking else used, until, now, granted)


def decision(rule: Rule, state: State, *, cost: int) -> Decision:
    """Returns what *state*, which came of asking for *cost*, means to the caller."""
    if isinstance(rule, TokenBucket):
        full = rule.weight(rule.capacity)
        missing = state.until - state.seen + rule.weight(min(cost, rule.capacity)) - full
        remaining = (full - (state.until - state.seen)) // rule.span
    else:
        missing = state.until - state.seen
        remaining = rule.capacity - state.used
    # A bucket of no room never fills; a call of more than there is room for waits for nothing else than the next look.
    waiting = 0.0 if state.granted else max(missing, 1) / SECOND
    return Decision(state.granted, max(remaining, 0), rule.capacity, moment(state.until), waiting)


def granted(found: Decision, resource: str) -> Decision:
    """Returns a decision that grants.

    Raises: RateLimited for one that does not.
    """
    if not found.allowed:
        raise RateLimited(resource=resource, limit=found.limit, retry_after=found.retry_after)
    return found


def in_words(found: Decision, resource_type: str, limit: Limit) -> tuple[bool, RateUsage]:
    """Returns a decision in the tuple form."""
    start = found.reset_at - timedelta(microseconds=limit.span)
    used = limit.count - found.remaining
    return found.allowed, RateUsage(resource_type, str(limit.per), limit.count, used, start, found.reset_at)


def moment(time: int) -> datetime:
    """Returns a time of a state as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=time)


def _next(now: int, span: int) -> int:
    return now - now % span + span


def _span(per: float | str) -> int:
    """Returns a period in microseconds, and nought for one that is none."""
    return round((PERIODS.get(per, 0) if isinstance(per, str) else per) * SECOND)


def _derive(rule: Rule, span: int, key: str) -> None:
    # The only way to set a field of a frozen class that its others decide.
    object.__setattr__(rule, "span", span)
    object.__setattr__(rule, "key", key)


def _check(rule: Rule, right: bool) -> None:
    if not right:
        raise ConfigurationError(
            what=f"{rule!r} is no limit.",
            fix=f"Use numbers above nought, and for per= seconds or one of {', '.join(PERIODS)}.",
        )
