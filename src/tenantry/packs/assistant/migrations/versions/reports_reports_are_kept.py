"""reports are kept

Revision ID: reports
Revises: warning

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import tenantry.models

revision: str = "reports"
down_revision: str | Sequence[str] | None = "warning"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "saved_reports",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("report_type", sa.String(), nullable=True),
        sa.Column("report_data", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("tags", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("token_usage", tenantry.models.JSONDocument(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("generated_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("saved_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name="ck_saved_reports_confidence"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_saved_reports")),
        sa.UniqueConstraint("tenant_id", "report_id", name=op.f("uq_saved_reports_report_id")),
    )
    op.wall("saved_reports")
    op.create_index(
        op.f("ix_saved_reports_user_id_saved_at"), "saved_reports", ["tenant_id", "user_id", "saved_at"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_saved_reports_user_id_saved_at"), table_name="saved_reports")
    op.drop_table("saved_reports")
