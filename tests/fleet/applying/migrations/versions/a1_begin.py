"""The tables that there were from the beginning."""

import sqlalchemy as sa
from alembic import op

revision = "a1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "companies",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.CheckConstraint("tenant_id = id", name="ck_companies_record"),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )
    op.create_table(
        "tickets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )
    if op.holds("shared"):
        op.create_table(
            "countries",
            sa.Column("code", sa.String(2), primary_key=True),
            schema="tenantry_shared",
        )
        op.share("countries")
    if op.holds("platform"):
        op.create_table("plans", sa.Column("name", sa.String(50), primary_key=True))
        op.grant_platform("plans")


def downgrade() -> None:
    if op.holds("platform"):
        op.drop_table("plans")
    if op.holds("shared"):
        op.drop_table("countries", schema="tenantry_shared")
    op.drop_table("tickets")
    op.drop_table("companies")
