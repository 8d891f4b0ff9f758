"""Add kill_switches table

Revision ID: kill_switches
Revises: first
Create Date: 2026-11-22 15:17:04.993105

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import tenantry.models

revision: str = "kill_switches"
down_revision: str | Sequence[str] | None = "first"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_kill_switches()


def downgrade() -> None:
    op.drop_index("uq_kill_switches_workflow_id", table_name="kill_switches")
    op.drop_index("ix_kill_switches_tenant_active", table_name="kill_switches")
    op.drop_table("kill_switches")


def _create_kill_switches() -> None:
    op.create_table(
        "kill_switches",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=True),
        sa.Column("workflow", sa.String(length=255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("activated_by", sa.String(length=255), nullable=True),
        sa.Column("activated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("deactivated_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("deactivated_by", sa.String(length=255), nullable=True),
        sa.Column("expires_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("updated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.CheckConstraint("is_active OR deactivated_at IS NOT NULL", name="ck_kill_switches_deactivated"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "workflow_id"],
            ["workflows.tenant_id", "workflows.id"],
            name=op.f("fk_kill_switches_workflow_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_kill_switches_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_kill_switches")),
        sa.UniqueConstraint("tenant_id", "workflow", name="uq_kill_switches_workflow"),
    )
    op.wall("kill_switches")
    op.create_index("ix_kill_switches_tenant_active", "kill_switches", ["tenant_id", "is_active"], unique=False)
    op.create_index("uq_kill_switches_workflow_id", "kill_switches", ["tenant_id", "workflow_id"], unique=True)
