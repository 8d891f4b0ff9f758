"""The words of incidents: how far one has come, how bad it is, what is done about it, and how a vendor stands."""

from __future__ import annotations

import enum
from typing import Final

from sqlalchemy import CheckConstraint

from tenantry.limits import CircuitState


class IncidentStatus(enum.StrEnum):
    """How far an incident has come."""

    NEW = "NEW"
    ANALYZING = "ANALYZING"
    ACTIONED = "ACTIONED"
    RESOLVED = "RESOLVED"
    IGNORED = "IGNORED"


class Severity(enum.StrEnum):
    """How bad an incident is."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class ActionType(enum.StrEnum):
    """What is done about an incident."""

    RETRY = "retry"
    ESCALATE = "escalate"
    MANUAL = "manual"


class ActionStatus(enum.StrEnum):
    """How far an action has come."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


# An incident that was ignored stands: what has its signature is counted on it, and raises no new one.
OVER: Final = IncidentStatus.RESOLVED


def one_of(words: type[enum.StrEnum], *, table: str, column: str) -> CheckConstraint:
    """Returns the constraint that a column holds one of *words*."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


__all__ = [
    "OVER",
    "ActionStatus",
    "ActionType",
    "CircuitState",
    "IncidentStatus",
    "Severity",
    "one_of",
]
