"""answers carry a warning

Revision ID: warning
Revises: first

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "warning"
down_revision: str | Sequence[str] | None = "first"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "messages", sa.Column("low_confidence_warning", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("messages", "low_confidence_warning")
