"""Workspaces, their users, connections, accounts and meetings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tenantry.models import JSONDocument, SecretReference, UTCDateTime

revision = "0002"
down_revision = "0001"

_LIVE = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    """Makes the workspaces and all that is theirs."""
    _create_tenants()
    _create_users()
    _create_crm_connections()
    _create_account_mappings()
    _index_account_mappings()
    _create_meeting_sessions()
    _index_meeting_sessions()


def downgrade() -> None:
    """Drops them, with all that they hold."""
    op.drop_table("meeting_sessions")
    op.drop_table("account_mappings")
    op.drop_table("crm_connections")
    op.drop_table("users")
    op.drop_table("tenants")


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slack_team_id", sa.String(length=32), nullable=False),
        sa.Column("slack_team_name", sa.String(length=255), nullable=False),
        sa.Column("plan_tier", sa.String(length=20), nullable=False),
        sa.Column("subscription_status", sa.String(length=20), nullable=False),
        sa.Column("slack_domain", sa.String(length=255), nullable=True),
        sa.Column("slack_enterprise_id", sa.String(length=32), nullable=True),
        sa.Column("bot_token_secret_id", SecretReference(), nullable=True),
        sa.Column("trial_ends_at", UTCDateTime(), nullable=True),
        sa.Column("subscription_ends_at", UTCDateTime(), nullable=True),
        sa.Column("settings", JSONDocument(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("installed_by_slack_user_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.CheckConstraint("plan_tier IN ('free', 'pro', 'enterprise')", name="ck_tenants_plan_tier"),
        sa.CheckConstraint(
            "subscription_status IN ('trialing', 'active', 'past_due', 'canceled', 'suspended')",
            name="ck_tenants_subscription_status",
        ),
        sa.CheckConstraint("tenant_id = id", name="ck_tenants_is_tenant"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_tenants"),
        sa.UniqueConstraint("tenant_id", name="uq_tenants_tenant_id"),
    )
    op.wall("tenants")
    op.create_index(
        "ix_tenants_live", "tenants", ["tenant_id", "id"], unique=False, postgresql_where=_LIVE, sqlite_where=_LIVE
    )
    op.create_index("ix_tenants_subscription_status", "tenants", ["tenant_id", "subscription_status"], unique=False)
    op.create_index(
        "uq_tenants_slack_team_id",
        "tenants",
        ["tenant_id", "slack_team_id"],
        unique=True,
        postgresql_where=_LIVE,
        sqlite_where=_LIVE,
    )


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slack_user_id", sa.String(length=32), nullable=False),
        sa.Column("slack_email", sa.String(length=320), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("preferences", JSONDocument(), nullable=False),
        sa.Column("slack_display_name", sa.String(length=255), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("last_active_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'member', 'viewer')", name="ck_users_role"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name="fk_users_tenant_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_users"),
    )
    op.wall("users")
    op.create_index("ix_users_slack_email", "users", ["tenant_id", "slack_email"], unique=False)
    op.create_index(
        "uq_users_slack_user_id",
        "users",
        ["tenant_id", "slack_user_id"],
        unique=True,
        postgresql_where=_LIVE,
        sqlite_where=_LIVE,
    )


def _create_crm_connections() -> None:
    op.create_table(
        "crm_connections",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.String(length=20), nullable=False),
        sa.Column("credentials_secret_id", SecretReference(), nullable=False),
        sa.Column("connected_by_user_id", sa.Uuid(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("connection_name", sa.String(length=255), nullable=True),
        sa.Column("external_account_id", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("last_sync_at", UTCDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("token_expires_at", UTCDateTime(), nullable=True),
        sa.Column("settings", JSONDocument(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.CheckConstraint(
            "provider_type IN ('hubspot', 'salesforce', 'crono')", name="ck_crm_connections_provider_type"
        ),
        sa.CheckConstraint("status IN ('active', 'error', 'expired', 'revoked')", name="ck_crm_connections_status"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connected_by_user_id"],
            ["users.tenant_id", "users.id"],
            name="fk_crm_connections_connected_by_user_id",
            ondelete="SET NULL (connected_by_user_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.tenant_id"], name="fk_crm_connections_tenant_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_crm_connections"),
    )
    op.wall("crm_connections")
    op.create_index(
        "ix_crm_connections_connected_by_user_id",
        "crm_connections",
        ["tenant_id", "connected_by_user_id"],
        unique=False,
    )
    op.create_index("ix_crm_connections_status", "crm_connections", ["tenant_id", "status"], unique=False)
    op.create_index(
        "uq_crm_connections_default",
        "crm_connections",
        ["tenant_id", "is_default"],
        unique=True,
        postgresql_where=sa.text("is_default AND deleted_at IS NULL"),
        sqlite_where=sa.text("is_default AND deleted_at IS NULL"),
    )


def _create_account_mappings() -> None:
    op.create_table(
        "account_mappings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("crm_connection_id", sa.Uuid(), nullable=False),
        sa.Column("email_domain", sa.String(length=255), nullable=False),
        sa.Column("crm_account_id", sa.String(length=255), nullable=False),
        sa.Column("crm_account_name", sa.String(length=255), nullable=True),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("verified_by_user_id", sa.Uuid(), nullable=True),
        sa.Column("verified_at", UTCDateTime(), nullable=True),
        sa.Column("use_count", sa.Integer(), nullable=False),
        sa.Column("last_used_at", UTCDateTime(), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.CheckConstraint("source IN ('auto', 'manual')", name="ck_account_mappings_source"),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="ck_account_mappings_confidence"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "crm_connection_id"],
            ["crm_connections.tenant_id", "crm_connections.id"],
            name="fk_account_mappings_crm_connection_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "verified_by_user_id"],
            ["users.tenant_id", "users.id"],
            name="fk_account_mappings_verified_by_user_id",
            ondelete="SET NULL (verified_by_user_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.tenant_id"], name="fk_account_mappings_tenant_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_account_mappings"),
    )
    op.wall("account_mappings")


def _index_account_mappings() -> None:
    op.create_index(
        "ix_account_mappings_crm_connection_id", "account_mappings", ["tenant_id", "crm_connection_id"], unique=False
    )
    op.create_index("ix_account_mappings_email_domain", "account_mappings", ["tenant_id", "email_domain"], unique=False)
    op.create_index(
        "ix_account_mappings_verified",
        "account_mappings",
        ["tenant_id", "email_domain"],
        unique=False,
        postgresql_where=sa.text("is_verified"),
        sqlite_where=sa.text("is_verified"),
    )
    op.create_index(
        "ix_account_mappings_verified_by_user_id",
        "account_mappings",
        ["tenant_id", "verified_by_user_id"],
        unique=False,
    )
    op.create_index(
        "uq_account_mappings_crm_connection_id_email_domain",
        "account_mappings",
        ["tenant_id", "crm_connection_id", "email_domain"],
        unique=True,
        postgresql_where=_LIVE,
        sqlite_where=_LIVE,
    )


def _create_meeting_sessions() -> None:
    op.create_table("meeting_sessions", *_meeting_columns(), *_meeting_constraints())
    op.wall("meeting_sessions")


def _index_meeting_sessions() -> None:
    op.create_index("ix_meeting_sessions_created_at", "meeting_sessions", ["tenant_id", "created_at"], unique=False)
    op.create_index(
        "ix_meeting_sessions_crm_connection_id", "meeting_sessions", ["tenant_id", "crm_connection_id"], unique=False
    )
    op.create_index(
        "ix_meeting_sessions_live",
        "meeting_sessions",
        ["tenant_id", "created_at"],
        unique=False,
        postgresql_where=_LIVE,
        sqlite_where=_LIVE,
    )
    op.create_index(
        "ix_meeting_sessions_processing_status", "meeting_sessions", ["tenant_id", "processing_status"], unique=False
    )
    op.create_index(
        "ix_meeting_sessions_user_id_created_at",
        "meeting_sessions",
        ["tenant_id", "user_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "uq_meeting_sessions_fathom_meeting_id",
        "meeting_sessions",
        ["tenant_id", "fathom_meeting_id"],
        unique=True,
        postgresql_where=_LIVE,
        sqlite_where=_LIVE,
    )


def _meeting_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("crm_connection_id", sa.Uuid(), nullable=True),
        sa.Column("processing_status", sa.String(length=20), nullable=False),
        sa.Column("fathom_meeting_id", sa.String(length=255), nullable=True),
        sa.Column("title", sa.String(length=500), nullable=True),
        sa.Column("meeting_url", sa.String(length=1024), nullable=True),
        sa.Column("recording_url", sa.String(length=1024), nullable=True),
        sa.Column("started_at", UTCDateTime(), nullable=True),
        sa.Column("ended_at", UTCDateTime(), nullable=True),
        sa.Column("duration_seconds", sa.Integer(), nullable=True),
        sa.Column("participants", JSONDocument(), nullable=False),
        sa.Column("transcript_ref", sa.String(length=1024), nullable=True),
        sa.Column("ai_summary", sa.Text(), nullable=True),
        sa.Column("action_items", JSONDocument(), nullable=False),
        sa.Column("key_points", JSONDocument(), nullable=False),
        sa.Column("sentiment", sa.String(length=20), nullable=True),
        sa.Column("ai_model", sa.String(length=100), nullable=True),
        sa.Column("tokens_used", sa.Integer(), nullable=False),
        sa.Column("processing_error", sa.Text(), nullable=True),
        sa.Column("processed_at", UTCDateTime(), nullable=True),
        sa.Column("crm_account_id", sa.String(length=255), nullable=True),
        sa.Column("crm_account_name", sa.String(length=255), nullable=True),
        sa.Column("crm_note_id", sa.String(length=255), nullable=True),
        sa.Column("crm_deal_id", sa.String(length=255), nullable=True),
        sa.Column("crm_sync_status", sa.String(length=20), nullable=False),
        sa.Column("crm_synced_at", UTCDateTime(), nullable=True),
        sa.Column("slack_channel_id", sa.String(length=32), nullable=True),
        sa.Column("slack_message_ts", sa.String(length=32), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
    ]


def _meeting_constraints() -> list[sa.Constraint]:
    return [
        sa.CheckConstraint(
            "crm_sync_status IN ('none', 'pending', 'synced', 'failed')", name="ck_meeting_sessions_crm_sync_status"
        ),
        sa.CheckConstraint(
            "processing_status IN ('pending', 'processing', 'completed', 'failed')",
            name="ck_meeting_sessions_processing_status",
        ),
        sa.CheckConstraint(
            "sentiment IN ('positive', 'neutral', 'negative', 'mixed')", name="ck_meeting_sessions_sentiment"
        ),
        sa.CheckConstraint("duration_seconds >= 0", name="ck_meeting_sessions_duration_seconds"),
        sa.CheckConstraint("tokens_used >= 0", name="ck_meeting_sessions_tokens_used"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "crm_connection_id"],
            ["crm_connections.tenant_id", "crm_connections.id"],
            name="fk_meeting_sessions_crm_connection_id",
            ondelete="SET NULL (crm_connection_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name="fk_meeting_sessions_user_id",
            ondelete="SET NULL (user_id)",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.tenant_id"], name="fk_meeting_sessions_tenant_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_meeting_sessions"),
    ]
