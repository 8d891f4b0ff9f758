"""The words that the helpdesk's columns may hold, and the constraint that holds them to these."""

from __future__ import annotations

import enum

from sqlalchemy import CheckConstraint

from tenantry.ids import uuid7


class TicketStatus(enum.StrEnum):
    """How far a ticket has come."""

    OPEN = "open"
    PENDING = "pending"
    RESOLVED = "resolved"
    CLOSED = "closed"


class TicketPriority(enum.StrEnum):
    """How much a ticket presses."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class AuthorType(enum.StrEnum):
    """Who wrote a conversation."""

    AGENT = "agent"
    REQUESTER = "requester"
    SYSTEM = "system"


class ArticleStatus(enum.StrEnum):
    """Who can read an article: its authors, or everybody."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class SyncStatus(enum.StrEnum):
    """Whether what another store keeps of a row is the row as it is."""

    PENDING = "pending"
    SYNCED = "synced"
    FAILED = "failed"


class WorkStatus(enum.StrEnum):
    """How far a piece of work has come: a synchronisation, a backup."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


def one_of(words: type[enum.StrEnum], *, table: str, column: str) -> CheckConstraint:
    """Returns the constraint that a column holds one of *words*."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


def at_least_nought(column: str, *, table: str) -> CheckConstraint:
    """Returns the constraint that a number is not negative."""
    return CheckConstraint(f"{column} >= 0", name=f"ck_{table}_{column}")


def external_id() -> str:
    """Returns an outside name for a row that came without one."""
    return uuid7().hex
