"""The tables of usage: what was used, what may be used, and what is held back for calls under way."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, String, Table, Uuid

from tenantry.ids import uuid7
from tenantry.models.append_only import APPEND_ONLY
from tenantry.models.columns import UTCDateTime
from tenantry.tenancy import Tenancy
from tenantry.usage.money import Money

_NAME = 255


@dataclass(frozen=True, slots=True)
class Tables:
    """The three tables of one tenancy's usage."""

    records: Table
    budgets: Table
    reservations: Table


def declare(tenancy: Tenancy, *, records: str, budgets: str, reservations: str, append_only: bool) -> Tables:
    """Adds the tables to the models of *tenancy*.

    Raises: ConfigurationError as ``Tenancy.table`` does.
    """
    kept = {APPEND_ONLY: True} if append_only else {}
    return Tables(_records(tenancy, records, kept), _budgets(tenancy, budgets), _reservations(tenancy, reservations))


def _records(tenancy: Tenancy, name: str, marks: dict[str, bool]) -> Table:
    return tenancy.table(
        name,
        Column("id", Uuid(), primary_key=True, default=uuid7),
        Column("provider", String(_NAME), nullable=False),
        Column("model", String(_NAME), nullable=False),
        Column("user_id", String(_NAME)),
        Column("operation", String(_NAME)),
        Column("operation_id", String(_NAME)),
        Column("prompt_tokens", BigInteger, nullable=False),
        Column("completion_tokens", BigInteger, nullable=False),
        Column("total_tokens", BigInteger, nullable=False),
        Column("cost", Money()),
        Column("created_at", UTCDateTime(), nullable=False),
        CheckConstraint("prompt_tokens >= 0 AND completion_tokens >= 0", name=f"ck_{name}_tokens"),
        CheckConstraint("total_tokens = prompt_tokens + completion_tokens", name=f"ck_{name}_total"),
        CheckConstraint("cost >= 0", name=f"ck_{name}_cost"),
        Index(f"ix_{name}_created_at", "created_at"),
        Index(f"ix_{name}_user_id_created_at", "user_id", "created_at"),
        behaviour="Usage",
        **marks,
    )


def _budgets(tenancy: Tenancy, name: str) -> Table:
    return tenancy.table(
        name,
        Column("period", String(8), primary_key=True),
        Column("hard", Boolean, nullable=False),
        Column("cost_limit", Money()),
        Column("token_limit", BigInteger),
        Column("cost", Money(), nullable=False),
        Column("tokens", BigInteger, nullable=False),
        Column("began_at", UTCDateTime(), nullable=False),
        CheckConstraint("period IN ('day', 'month', 'total')", name=f"ck_{name}_period"),
        behaviour="Usage",
    )


def _reservations(tenancy: Tenancy, name: str) -> Table:
    return tenancy.table(
        name,
        Column("id", Uuid(), primary_key=True, default=uuid7),
        Column("cost", Money(), nullable=False),
        Column("tokens", BigInteger, nullable=False),
        Column("reserved_at", UTCDateTime(), nullable=False),
        Column("expires_at", UTCDateTime(), nullable=False),
        Index(f"ix_{name}_expires_at", "expires_at"),
        behaviour="Usage",
    )
