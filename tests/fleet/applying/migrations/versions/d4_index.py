"""An index made while everybody goes on writing."""

from alembic import op

revision = "d4"
down_revision = "c3"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_tickets_subject", "tickets", ["subject"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_tickets_subject", "tickets", postgresql_concurrently=True)
