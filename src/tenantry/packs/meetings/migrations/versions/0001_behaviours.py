"""What the meetings stand on: audit, limits, outbox, quotas, usage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tenantry.models import JSONDocument, UTCDateTime
from tenantry.usage.money import Money

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables in which the audit, limits, outbox and usage are kept."""
    _create_api_rate_limits()
    _create_audit_log_heads()
    _create_audit_logs()
    _create_outbox_events()
    _create_outbox_streams()
    _create_quotas()
    _create_usage_budgets()
    _create_usage_records()
    _create_usage_reservations()


def downgrade() -> None:
    """Drops them, with all that they hold."""
    op.drop_table("usage_reservations")
    op.drop_table("usage_records")
    op.drop_table("usage_budgets")
    op.drop_table("quotas")
    op.drop_table("outbox_streams")
    op.drop_table("outbox_events")
    op.drop_table("audit_logs")
    op.drop_table("audit_log_heads")
    op.drop_table("api_rate_limits")


def _create_api_rate_limits() -> None:
    op.create_table(
        "api_rate_limits",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("resource", sa.String(length=200), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "resource", "rule", name="pk_api_rate_limits"),
    )
    op.wall("api_rate_limits")


def _create_audit_log_heads() -> None:
    op.create_table(
        "audit_log_heads",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "chain", name="pk_audit_log_heads"),
    )
    op.wall("audit_log_heads")


def _create_audit_logs() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", UTCDateTime(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("resource_type", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("impersonator", sa.String(), nullable=True),
        sa.Column("correlation_id", sa.String(), nullable=True),
        sa.Column("changes", JSONDocument(), nullable=True),
        sa.Column("details", JSONDocument(), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("previous_digest", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="pk_audit_logs"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_audit_logs_id"),
    )
    op.wall("audit_logs")
    op.append_only("audit_logs")
    op.create_index(
        "ix_audit_logs_failures",
        "audit_logs",
        ["tenant_id", "seq"],
        unique=False,
        postgresql_where=sa.text("status <> 'success'"),
        sqlite_where=sa.text("status <> 'success'"),
    )
    op.create_index("ix_audit_logs_resource", "audit_logs", ["tenant_id", "resource_type", "resource_id"], unique=False)
    op.create_index("ix_audit_logs_time", "audit_logs", ["tenant_id", "recorded_at"], unique=False)


def _create_outbox_events() -> None:
    op.create_table(
        "outbox_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("payload", JSONDocument(), nullable=False),
        sa.Column("headers", JSONDocument(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("added_at", UTCDateTime(), nullable=False),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_outbox_events"),
        sa.UniqueConstraint("tenant_id", "number", name="uq_outbox_events_number"),
    )
    op.wall("outbox_events")
    op.create_index("ix_outbox_events_number", "outbox_events", ["tenant_id", "state", "number"], unique=False)
    op.create_index("ix_outbox_events_position", "outbox_events", ["tenant_id", "state", "position"], unique=False)


def _create_outbox_streams() -> None:
    op.create_table(
        "outbox_streams",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=True),
        sa.Column("lease_until", UTCDateTime(), nullable=True),
        sa.Column("due_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_outbox_streams"),
    )
    op.wall("outbox_streams")


def _create_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.Column("allowed", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_quotas"),
    )
    op.wall("quotas")


def _create_usage_budgets() -> None:
    op.create_table(
        "usage_budgets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.String(length=8), nullable=False),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.Column("cost_limit", Money(), nullable=True),
        sa.Column("token_limit", sa.BigInteger(), nullable=True),
        sa.Column("cost", Money(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("began_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("period IN ('day', 'month', 'total')", name="ck_usage_budgets_period"),
        sa.PrimaryKeyConstraint("tenant_id", "period", name="pk_usage_budgets"),
    )
    op.wall("usage_budgets")


def _create_usage_records() -> None:
    op.create_table(
        "usage_records",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=True),
        sa.Column("operation", sa.String(length=255), nullable=True),
        sa.Column("operation_id", sa.String(length=255), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", Money(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("cost >= 0", name="ck_usage_records_cost"),
        sa.CheckConstraint("prompt_tokens >= 0 AND completion_tokens >= 0", name="ck_usage_records_tokens"),
        sa.CheckConstraint("total_tokens = prompt_tokens + completion_tokens", name="ck_usage_records_total"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_usage_records"),
    )
    op.wall("usage_records")
    op.create_index("ix_usage_records_created_at", "usage_records", ["tenant_id", "created_at"], unique=False)
    op.create_index(
        "ix_usage_records_user_id_created_at", "usage_records", ["tenant_id", "user_id", "created_at"], unique=False
    )


def _create_usage_reservations() -> None:
    op.create_table(
        "usage_reservations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cost", Money(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("reserved_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_usage_reservations"),
    )
    op.wall("usage_reservations")
    op.create_index("ix_usage_reservations_expires_at", "usage_reservations", ["tenant_id", "expires_at"], unique=False)
