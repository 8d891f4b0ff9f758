"""What is kept and what is limited: audit, append-only, idempotency, outbox, usage, limits."""

from __future__ import annotations

import uuid

from tenantry.errors.base import TenantryError

# --- usage -----------------------------------------------------------------------------------------------------------


class PriceUnknown(TenantryError, LookupError):
    """There is no price for {provider}/{model}, so nothing was recorded. Add it to prices=, pass cost=, or make
    Usage(unpriced=True) to record such calls without a cost."""


class InvalidUsage(TenantryError, ValueError):
    """That use cannot be recorded: {reason}"""


class BudgetExceeded(TenantryError):
    """The tenant's budget ({period}) is {limit} {measure}; {spent} are used, and {wanted} more were asked for, so
    nothing was recorded. Raise the budget{or_wait}."""

    retry_after: float | None


# --- kill switches, circuit breakers, fair share ---------------------------------------------------------------------


class KillSwitchActive(TenantryError):
    """{what} was stopped for this tenant: {reason} Wait until it is let go on, or have the switch deactivated."""

    workflow: str | None
    retry_after: float | None


class CircuitOpen(TenantryError):
    """Calls to {name!r} are held back: too many of this tenant's failed. Wait {retry_after} s and try again."""

    retry_after: float


class TenantBusy(TenantryError, TimeoutError):
    """This tenant has {limit} transactions under way and none ended within {waited} s. Wait {retry_after} s and try
    again."""

    retry_after: float


class TransactionBudgetExceeded(TenantryError):
    """The transaction used {used} {measure} where {limit} are allowed, and was stopped. Use smaller parts,
    or give it a larger budget."""


# --- idempotency and the outbox --------------------------------------------------------------------------------------


class PayloadRefused(TenantryError, ValueError):
    """{what} cannot be kept as JSON: {reason}
    Use dicts with text keys, lists, texts, numbers, booleans and None."""


class InvalidIdempotencyKey(TenantryError, ValueError):
    """The idempotency {part} is not usable: {reason} Use at most 255 printable characters, such as a UUID."""


class IdempotencyConflict(TenantryError):
    """The idempotency key {key!r} was used before with another payload, so nothing was done.
    Use a new key for a new request, or repeat the old one as it was."""

    key: str


class IdempotencyInFlight(TenantryError):
    """Another call with the idempotency key {key!r} is under way, so nothing was done.
    Call again, in a new transaction, after {retry_after:g} s: you then get its answer."""

    key: str
    retry_after: float


class IdempotencyUnfinished(TenantryError):
    """The call with the idempotency key {key!r} has no answer and nobody is at work on it: it is called from inside
    itself, or was committed before its end. Look at what it did; then call idempotency.forget(db, {key!r})."""

    key: str


class CommitInsideCall(TenantryError):
    """The transaction was ended inside the call with the idempotency key {key!r}, so its answer was not kept.
    Look at what it did, call idempotency.forget(db, {key!r}), and commit after the block from now on."""

    key: str


class HandlerMissing(TenantryError, LookupError):
    """No handler in this process takes events of the topic {topic!r}, so it waits.
    Register one with @outbox.handler({topic!r}), or one for every other topic with @outbox.handler("*")."""


class EventNotParked(TenantryError, LookupError):
    """This tenant's outbox has no parked event {event}. List those that are with outbox.parked(db)."""


class StreamLost(TenantryError):
    """Another relay has taken over the outbox of tenant {tenant}, so what this one did last was not acknowledged.
    Raise lease= above the time of the slowest handler."""

    tenant: uuid.UUID


# --- what is kept: append-only, soft delete --------------------------------------------------------------------------


class AppendOnlyViolation(TenantryError):
    """{action} on {table} was refused: it is append-only, so its rows are neither changed nor deleted. Add a new row
    that says what is different; rows that are old enough go by tenancy.purge()."""


# --- life cycles -----------------------------------------------------------------------------------------------------


class IllegalStep(TenantryError):
    """{column} is {present!r}, and {step!r} does not follow that, so nothing was changed. What may follow: {allowed}.
    Load the row again if somebody else may have changed it."""

    column: str
    present: str
    step: str
    allowed: str


class RowNotInSession(TenantryError):
    """This {row} belongs to no session, so no step of its life cycle can be taken. Load it with the session that is to
    take the step, or add() it there first."""

    row: str


# --- rates and quotas ------------------------------------------------------------------------------------------------


class RateLimited(TenantryError):
    """The limit of {limit} for {resource!r} is used up, and nothing was done. Call again in {retry_after:.3f} s."""

    resource: str
    limit: int
    retry_after: float


class RatesUnavailable(TenantryError):
    """No call for {resource!r} can be counted now, so none was let through: {reason}
    Look at the store of the rates; Rates(fail_open=True) lets calls pass uncounted meanwhile."""

    resource: str


class QuotaExceeded(TenantryError):
    """The quota {quota!r} allows {limit}: {used} are used and {asked} more were asked for, so nothing was written.
    Free some, or raise it with quotas.set(key, {quota!r}, …)."""

    quota: str
    used: int
    limit: int
    asked: int


# --- the audit -------------------------------------------------------------------------------------------------------


class AuditRefused(TenantryError, ValueError):
    """Nothing was recorded: {reason}"""


class CaptureRefused(TenantryError):
    """Every change of a {model} is recorded, and {statement} does not say which rows it changes. {fix}"""


class AnchorUnreadable(TenantryError):
    """An anchor of the audit cannot be read, {place}: {reason} Look at what else writes there."""
