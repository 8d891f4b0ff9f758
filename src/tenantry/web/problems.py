"""What a client is told of an error, as problem+json (RFC 9457): in fixed words, so nothing of another's leaks out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from tenantry import errors
from tenantry.types import TenantStatus
from tenantry.web.problems_sql import Fault, fault_of

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer to a client: a status, a stable code, a sentence, and after how many seconds to ask again."""

    status: int
    code: str
    detail: str
    retry_after: float | None = None

    @property
    def reason(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def told(self) -> dict[str, Any]:
        """Returns what the answer's body says."""
        named = {"type": "about:blank", "title": self.reason, "status": self.status, "code": self.code}
        return {**named, "detail": self.detail}

    def body(self) -> bytes:
        """Returns the answer's body; the same problem always has the same bytes."""
        return json.dumps(self.told()).encode()

    def headers(self) -> list[tuple[str, str]]:
        """Returns the answer's headers."""
        found = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(self.body()))), ("Cache-Control", "no-store")]
        if self.retry_after is not None:
            found.append(("Retry-After", str(max(1, math.ceil(self.retry_after)))))
        if self.status == HTTPStatus.UNAUTHORIZED:
            found.append(("WWW-Authenticate", "Bearer"))
        return found


NOT_FOUND: Final = Problem(404, "not_found", "There is nothing here by that name.")
_UNKNOWN_TENANT: Final = Problem(404, "tenant_not_found", "There is no such tenant.")
_UNAUTHORIZED: Final = Problem(401, "unauthorized", "Say who you are: send a valid token.")
_EXPIRED: Final = Problem(401, "token_expired", "The token has expired. Get a new one and ask again.")
_DISAGREE: Final = Problem(403, "tenants_disagree", "The request names a tenant that it is not for.")
_FORBIDDEN: Final = Problem(403, "forbidden", "You may not do that.")
_PASSWORD: Final = Problem(403, "password_change_required", "Choose a new password first.")
_CONFLICT: Final = Problem(409, "conflict", "That contradicts what is there already.")
_IN_FLIGHT: Final = Problem(409, "in_flight", "The same request is under way. Ask again in a moment.", 1.0)
_UNFINISHED: Final = Problem(409, "unfinished", "An earlier request with this key left no answer.")
INVALID: Final = Problem(422, "invalid", "A value in the request cannot be used.")
_KEY_REUSED: Final = Problem(422, "idempotency_key_reused", "This key was used before, for another request.")
_TENANT_IN_BODY: Final = Problem(422, "tenant_mismatch", "The request names another tenant than the one it is for.")
_LOCKED: Final = Problem(423, "locked", "This was stopped for the tenant.")
_SUSPENDED: Final = Problem(423, "tenant_suspended", "The tenant is suspended.")
_LIMITED: Final = Problem(429, "rate_limited", "That was too often. Ask again later.")
_QUOTA: Final = Problem(429, "quota_exceeded", "What the tenant may have is used up.")
_BUSY: Final = Problem(503, "busy", "The service is busy. Ask again in a moment.", 1.0)
_MOVING: Final = Problem(503, "tenant_moving", "The tenant is being moved. Ask again in a moment.", 1.0)
_NOT_READY: Final = Problem(503, "tenant_not_ready", "The tenant is being made. Ask again in a moment.", 5.0)
_UNKNOWN: Final = Problem(503, "outcome_unknown", "Nobody can tell whether that happened. Look before you repeat it.")

_KINDS: Final[Mapping[Problem, Iterable[type[errors.TenantryError]]]] = {
    NOT_FOUND: (errors.RecordNotFound, errors.AccountUnknown, errors.CompanyUnknown, errors.JobRecordMissing),
    _UNKNOWN_TENANT: (errors.TenantNotFound, errors.TenantWasErased),
    _UNAUTHORIZED: (errors.TenantRequired, errors.TokenRefused, errors.LogInRefused),
    _EXPIRED: (errors.TokenExpired,),
    _DISAGREE: (errors.TenantsDisagree,),
    _FORBIDDEN: (errors.PermissionDenied, errors.ImpersonationRefused, errors.TenantCreationDisabled),
    _PASSWORD: (errors.PasswordChangeRequired,),
    _CONFLICT: (
        errors.AccountExists,
        errors.AppendOnlyViolation,
        errors.CRMConnectionMissing,
        errors.IdentityTaken,
        errors.IllegalStep,
        errors.LifecycleError,
        errors.TenantExists,
        errors.TenantLimitReached,
        errors.VersionConflict,
    ),
    _IN_FLIGHT: (errors.IdempotencyInFlight, errors.CreationInProgress),
    _UNFINISHED: (errors.IdempotencyUnfinished,),
    INVALID: (
        errors.EraseNotConfirmed,
        errors.InvalidDepth,
        errors.InvalidDomain,
        errors.InvalidFilter,
        errors.InvalidIdempotencyKey,
        errors.InvalidKey,
        errors.InvalidPage,
        errors.InvalidUsage,
        errors.PasswordRefused,
        errors.PayloadRefused,
        errors.ScopeRefused,
        errors.SearchRefused,
        errors.SearchTextRefused,
        errors.TransactionBudgetExceeded,
        errors.UnknownField,
        errors.VectorRefused,
    ),
    _KEY_REUSED: (errors.IdempotencyConflict,),
    _TENANT_IN_BODY: (errors.CrossTenant, errors.TenantImmutable),
    _LOCKED: (errors.KillSwitchActive, errors.SubscriptionInactive, errors.VendorInactive, errors.WorkflowInactive),
    _SUSPENDED: (errors.TenantUnavailable,),
    _LIMITED: (errors.LogInHeld, errors.RateLimited, errors.TenantBusy),
    _QUOTA: (errors.QuotaExceeded, errors.BudgetExceeded),
    _BUSY: (
        errors.CacheUnavailable,
        errors.CircuitOpen,
        errors.ConnectionBudgetExhausted,
        errors.FenceBusy,
        errors.HomeBehind,
        errors.HomeBusy,
        errors.PoolExhausted,
        errors.QueryTimeout,
        errors.RatesUnavailable,
        errors.SearchNotReady,
    ),
    _MOVING: (errors.TenantMoved, errors.TenantMoving),
    _UNKNOWN: (errors.OutcomeUnknown,),
}
_PROBLEMS: Final = {kind: problem for problem, kinds in _KINDS.items() for kind in kinds}

_STATES: Final[Mapping[str, Problem]] = {
    TenantStatus.PROVISIONING: _NOT_READY,
    TenantStatus.ERASING: _UNKNOWN_TENANT,
    TenantStatus.ERASED: _UNKNOWN_TENANT,
}

_FAULTS: Final = {
    Fault.MISSING: NOT_FOUND,
    Fault.CONFLICT: _CONFLICT,
    Fault.INVALID: INVALID,
    Fault.BUSY: _BUSY,
}


def problem_of(error: BaseException) -> Problem | None:
    """Returns what a client is told of *error*, or None where it is a mistake of the program: that is a 500."""
    if not isinstance(error, errors.TenantryError):
        fault = fault_of(error)
        return None if fault is None else _FAULTS[fault]
    found = next((_PROBLEMS[kind] for kind in type(error).__mro__ if kind in _PROBLEMS), None)
    if found is _SUSPENDED:
        found = _STATES.get(getattr(error, "status", ""), found)
    wait = getattr(error, "retry_after", None)
    return replace(found, retry_after=float(wait)) if found and wait is not None else found
