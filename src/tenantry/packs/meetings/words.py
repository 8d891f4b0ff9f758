"""The words that the columns of the meetings may hold."""

from __future__ import annotations

import enum

from sqlalchemy import CheckConstraint


class PlanTier(enum.StrEnum):
    """What a workspace pays for."""

    FREE = "free"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class SubscriptionStatus(enum.StrEnum):
    """How a workspace's subscription stands."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELED = "canceled"
    SUSPENDED = "suspended"


class UserRole(enum.StrEnum):
    """What a user is in the workspace."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class CRMProvider(enum.StrEnum):
    """Whose CRM a connection leads to."""

    HUBSPOT = "hubspot"
    SALESFORCE = "salesforce"
    CRONO = "crono"


class ConnectionStatus(enum.StrEnum):
    """Whether a connection to a CRM works."""

    ACTIVE = "active"
    ERROR = "error"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ProcessingStatus(enum.StrEnum):
    """How far the processing of a meeting has come."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class CRMSyncStatus(enum.StrEnum):
    """Whether the CRM has the note of a meeting."""

    NONE = "none"
    PENDING = "pending"
    SYNCED = "synced"
    FAILED = "failed"


class Sentiment(enum.StrEnum):
    """How a meeting went."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"
    MIXED = "mixed"


class MappingSource(enum.StrEnum):
    """Who found the account of a domain."""

    AUTO = "auto"
    MANUAL = "manual"


def one_of(words: type[enum.StrEnum], *, table: str, column: str) -> CheckConstraint:
    """Returns the constraint that a column holds one of *words*."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")
