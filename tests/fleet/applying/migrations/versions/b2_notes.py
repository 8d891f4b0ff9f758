"""Notes on tickets, longer numbers, and a status that is filled from what there is."""

import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], name="fk_notes_ticket", ondelete="CASCADE"
        ),
    )
    with op.batch_alter_table("tickets") as tickets:
        tickets.alter_column("number", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
        tickets.add_column(sa.Column("status", sa.String(20), nullable=False, server_default="open"))
    op.data("UPDATE tickets SET status = 'old' WHERE number < 10")


def downgrade() -> None:
    with op.batch_alter_table("tickets") as tickets:
        tickets.drop_column("status")
        tickets.alter_column("number", type_=sa.Integer(), existing_type=sa.BigInteger(), existing_nullable=False)
    op.drop_table("notes")
