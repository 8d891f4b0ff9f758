"""A new walled table with a foreign key, a type change, and a data step."""

import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "b1"


def upgrade() -> None:
    """Goes there."""
    op.create_table(
        "comments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], name="fk_comments_ticket"
        ),
    )
    op.create_index("ix_comments_ticket", "comments", ["ticket_id"])
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("number", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
    op.data("UPDATE tickets SET status = 'closed' WHERE number < 100")


def downgrade() -> None:
    """Comes back."""
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("number", type_=sa.Integer(), existing_type=sa.BigInteger(), existing_nullable=False)
    op.drop_table("comments")
