"""The tables that incidents began with

Revision ID: first
Revises:
Create Date: 2026-11-22 15:17:04.993105

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import tenantry.models

revision: str = "first"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_audit_heads()
    _create_audit_log()
    _create_circuit_breakers()
    _create_rate_limits()
    _create_tenants()
    _create_vendors()
    _create_workflows()
    _create_events()
    _create_incidents()
    _create_decisions()
    _create_actions()


def downgrade() -> None:
    op.drop_index("ix_actions_incident_status", table_name="actions")
    op.drop_index(op.f("ix_actions_decision_id"), table_name="actions")
    op.drop_table("actions")
    op.drop_index(op.f("ix_decisions_incident_id"), table_name="decisions")
    op.drop_table("decisions")
    op.drop_index(
        "uq_incidents_signature",
        table_name="incidents",
        postgresql_where=sa.text("status <> 'RESOLVED'"),
        sqlite_where=sa.text("status <> 'RESOLVED'"),
    )
    op.drop_index(op.f("ix_incidents_workflow_id"), table_name="incidents")
    op.drop_index("ix_incidents_tenant_status", table_name="incidents")
    op.drop_index("ix_incidents_created_at", table_name="incidents")
    op.drop_index(op.f("ix_incidents_correlation_id"), table_name="incidents")
    op.drop_table("incidents")
    op.drop_index("ix_events_tenant_workflow", table_name="events")
    op.drop_index("ix_events_tenant_occurred", table_name="events")
    op.drop_index(op.f("ix_events_correlation_id"), table_name="events")
    op.drop_table("events")
    op.drop_table("workflows")
    if op.holds("platform"):
        op.drop_table("vendors")
    op.drop_table("tenants")
    op.drop_table("rate_limits")
    op.drop_table("circuit_breakers")
    op.drop_index("ix_audit_log_time", table_name="audit_log")
    op.drop_index("ix_audit_log_resource", table_name="audit_log")
    op.drop_index(
        "ix_audit_log_failures",
        table_name="audit_log",
        postgresql_where=sa.text("status <> 'success'"),
        sqlite_where=sa.text("status <> 'success'"),
    )
    op.drop_table("audit_log")
    op.drop_table("audit_heads")


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


def _create_circuit_breakers() -> None:
    op.create_table(
        "circuit_breakers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("opened_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("probes_until", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("successes", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name="ck_circuit_breakers_state"),
        sa.CheckConstraint("failures >= 0 AND probes >= 0 AND successes >= 0", name="ck_circuit_breakers_counts"),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_circuit_breakers")),
    )
    op.wall("circuit_breakers")


def _create_rate_limits() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("resource", sa.String(length=200), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "resource", "rule", name=op.f("pk_rate_limits")),
    )
    op.wall("rate_limits")


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("settings", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("tenant_id = id", name=op.f("ck_tenants_is_tenant")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("tenant_id", name="uq_tenants_tenant_id"),
    )
    op.wall("tenants")


def _create_vendors() -> None:
    if op.holds("platform"):
        op.create_table(
            "vendors",
            sa.Column("id", sa.Uuid(), nullable=False),
            sa.Column("name", sa.String(length=255), nullable=False),
            sa.Column("circuit_breaker_state", sa.String(length=20), nullable=False),
            sa.Column("circuit_breaker_failure_count", sa.Integer(), nullable=False),
            sa.Column("circuit_breaker_opened_at", tenantry.models.UTCDateTime(), nullable=True),
            sa.Column("last_failure_at", tenantry.models.UTCDateTime(), nullable=True),
            sa.Column("last_success_at", tenantry.models.UTCDateTime(), nullable=True),
            sa.Column("rate_limit_per_minute", sa.Integer(), nullable=False),
            sa.Column("failure_threshold", sa.Integer(), nullable=False),
            sa.Column("recovery_timeout_s", sa.Integer(), nullable=False),
            sa.Column("half_open_max_calls", sa.Integer(), nullable=False),
            sa.Column("is_active", sa.Boolean(), nullable=False),
            sa.Column("config", tenantry.models.JSONDocument(), nullable=False),
            sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
            sa.CheckConstraint(
                "circuit_breaker_state IN ('closed', 'open', 'half_open')", name="ck_vendors_circuit_breaker_state"
            ),
            sa.CheckConstraint("circuit_breaker_failure_count >= 0", name="ck_vendors_failure_count"),
            sa.CheckConstraint(
                "failure_threshold > 0 AND recovery_timeout_s > 0 AND half_open_max_calls > 0", name="ck_vendors_policy"
            ),
            sa.CheckConstraint("rate_limit_per_minute > 0", name="ck_vendors_rate_limit"),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_vendors")),
            sa.UniqueConstraint("name", name="uq_vendors_name"),
        )
        op.grant_platform("vendors")


def _create_workflows() -> None:
    op.create_table(
        "workflows",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_workflows_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_workflows")),
        sa.UniqueConstraint("tenant_id", "name", name="uq_workflows_name"),
    )
    op.wall("workflows")


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("event_type", sa.String(length=255), nullable=False),
        sa.Column("payload", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=False),
        sa.Column("occurred_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("correlation_id", sa.String(length=128), nullable=False),
        sa.Column("idempotency_digest", sa.String(length=64), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workflow_id"], ["workflows.tenant_id", "workflows.id"], name=op.f("fk_events_workflow_id")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_events_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_events")),
        sa.UniqueConstraint("tenant_id", "idempotency_key", name="uq_events_idempotency_key"),
    )
    op.wall("events")
    op.append_only("events")
    op.create_index(op.f("ix_events_correlation_id"), "events", ["tenant_id", "correlation_id"], unique=False)
    op.create_index("ix_events_tenant_occurred", "events", ["tenant_id", "occurred_at"], unique=False)
    op.create_index("ix_events_tenant_workflow", "events", ["tenant_id", "workflow_id"], unique=False)


def _create_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("signature", sa.String(length=255), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("event_count", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("last_seen_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=True),
        sa.Column("vendor_id", sa.Uuid(), nullable=True),
        sa.Column("resolved_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("correlation_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("severity IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')", name="ck_incidents_severity"),
        sa.CheckConstraint(
            "status IN ('NEW', 'ANALYZING', 'ACTIONED', 'RESOLVED', 'IGNORED')", name="ck_incidents_status"
        ),
        sa.CheckConstraint("event_count > 0", name="ck_incidents_event_count"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workflow_id"],
            ["workflows.tenant_id", "workflows.id"],
            name=op.f("fk_incidents_workflow_id"),
            ondelete="SET NULL (workflow_id)",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_incidents_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_incidents")),
    )
    op.wall("incidents")
    op.create_index(op.f("ix_incidents_correlation_id"), "incidents", ["tenant_id", "correlation_id"], unique=False)
    op.create_index("ix_incidents_created_at", "incidents", ["tenant_id", "created_at"], unique=False)
    op.create_index("ix_incidents_tenant_status", "incidents", ["tenant_id", "status"], unique=False)
    op.create_index(op.f("ix_incidents_workflow_id"), "incidents", ["tenant_id", "workflow_id"], unique=False)
    op.create_index(
        "uq_incidents_signature",
        "incidents",
        ["tenant_id", "signature"],
        unique=True,
        postgresql_where=sa.text("status <> 'RESOLVED'"),
        sqlite_where=sa.text("status <> 'RESOLVED'"),
    )


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("decision_type", sa.String(length=50), nullable=False),
        sa.Column("reasoning", sa.Text(), nullable=False),
        sa.Column("confidence_score", sa.Double(), nullable=False),
        sa.Column("ai_model", sa.String(length=100), nullable=False),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("confidence_score >= 0 AND confidence_score <= 1", name="ck_decisions_confidence_score"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "incident_id"], ["incidents.tenant_id", "incidents.id"], name=op.f("fk_decisions_incident_id")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_decisions_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_decisions")),
    )
    op.wall("decisions")
    op.append_only("decisions")
    op.create_index(op.f("ix_decisions_incident_id"), "decisions", ["tenant_id", "incident_id"], unique=False)


def _create_actions() -> None:
    op.create_table(
        "actions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=True),
        sa.Column("action_type", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("parameters", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("result", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("is_reversible", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("finished_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("action_type IN ('retry', 'escalate', 'manual')", name="ck_actions_action_type"),
        sa.CheckConstraint("status IN ('PENDING', 'IN_PROGRESS', 'SUCCEEDED', 'FAILED')", name="ck_actions_status"),
        sa.CheckConstraint("attempt > 0", name="ck_actions_attempt"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "decision_id"], ["decisions.tenant_id", "decisions.id"], name=op.f("fk_actions_decision_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "incident_id"], ["incidents.tenant_id", "incidents.id"], name=op.f("fk_actions_incident_id")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_actions_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_actions")),
    )
    op.wall("actions")
    op.create_index(op.f("ix_actions_decision_id"), "actions", ["tenant_id", "decision_id"], unique=False)
    op.create_index("ix_actions_incident_status", "actions", ["tenant_id", "incident_id", "status"], unique=False)
