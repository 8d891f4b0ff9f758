"""what is done and what others are told

Revision ID: kept
Revises:
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

import tenantry.models

revision: str = "kept"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_audit_heads()
    _create_audit_log()
    _create_outbox_events()
    _create_outbox_streams()


def downgrade() -> None:
    for table in ("outbox_streams", "outbox_events", "audit_log", "audit_heads"):
        op.drop_table(table)


def _create_audit_heads() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "chain", name=op.f("pk_audit_heads")),
    )
    op.wall("audit_heads")


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("resource_type", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("impersonator", sa.String(), nullable=True),
        sa.Column("correlation_id", sa.String(), nullable=True),
        sa.Column("changes", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("details", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("previous_digest", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name=op.f("pk_audit_log")),
        sa.UniqueConstraint("tenant_id", "id", name="uq_audit_log_id"),
    )
    op.wall("audit_log")
    op.append_only("audit_log")
    op.create_index(
        "ix_audit_log_failures",
        "audit_log",
        ["tenant_id", "seq"],
        unique=False,
        postgresql_where=sa.text("status <> 'success'"),
        sqlite_where=sa.text("status <> 'success'"),
    )
    op.create_index("ix_audit_log_resource", "audit_log", ["tenant_id", "resource_type", "resource_id"], unique=False)
    op.create_index("ix_audit_log_time", "audit_log", ["tenant_id", "recorded_at"], unique=False)


def _create_outbox_events() -> None:
    op.create_table(
        "outbox_events",
        *_key(),
        sa.Column("topic", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("payload", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("headers", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("added_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("ended_at", tenantry.models.UTCDateTime(), nullable=True),
        _primary("outbox_events"),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("uq_outbox_events_number")),
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
        sa.Column("lease_until", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("due_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_outbox_streams")),
    )
    op.wall("outbox_streams")


def _key() -> list[sa.Column[Any]]:
    return [sa.Column("tenant_id", sa.Uuid(), nullable=False), sa.Column("id", sa.Uuid(), nullable=False)]


def _primary(table: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}"))
