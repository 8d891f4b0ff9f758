"""What the platform and everybody sees."""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade() -> None:
    if op.holds("shared"):
        op.add_column("countries", sa.Column("name", sa.String(100)), schema="tenantry_shared")
    if op.holds("platform"):
        op.add_column("plans", sa.Column("price", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    if op.holds("platform"):
        op.drop_column("plans", "price")
    if op.holds("shared"):
        op.drop_column("countries", "name", schema="tenantry_shared")
