"""A history written by hand, in which an application's tables grow into what ``models`` declares."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

_HEADER = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {before!r}
'''

REVISIONS = {
    "Companies, countries and vendors": """
        def upgrade():
            op.create_table(
                "companies",
                sa.Column("tenant_id", sa.Uuid, primary_key=True),
                sa.Column("id", sa.Uuid, primary_key=True),
                sa.Column("name", sa.String(80), nullable=False),
                sa.CheckConstraint("tenant_id = id", name="ck_companies_is_tenant"),
            )
            op.wall("companies")
            if op.holds("shared"):
                op.create_table(
                    "countries", sa.Column("code", sa.String(2), primary_key=True), schema="tenantry_shared"
                )
                op.share("countries")
            if op.holds("platform"):
                op.create_table(
                    "vendors",
                    sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("name", sa.String(40), nullable=False, unique=True),
                )
                op.grant_platform("vendors")


        def downgrade():
            op.drop_table("companies")
            if op.holds("shared"):
                op.drop_table("countries", schema="tenantry_shared")
            if op.holds("platform"):
                op.drop_table("vendors")
    """,
    "Tickets, still small": """
        def upgrade():
            op.create_table(
                "tickets",
                sa.Column("tenant_id", sa.Uuid, primary_key=True),
                sa.Column("id", sa.Uuid, primary_key=True),
                sa.Column("title", sa.String(40), nullable=False),
                sa.Column("priority", sa.String(10)),
                sa.Column("legacy", sa.Integer),
                sa.Column("company_id", sa.Uuid, sa.ForeignKey("companies.id")),
            )
            op.wall("tickets")
            op.create_index("ix_tickets_legacy", "tickets", ["legacy"])


        def downgrade():
            op.drop_table("tickets")
    """,
    "Tickets have numbers, and priorities that are never missing": """
        def upgrade():
            op.add_column("tickets", sa.Column("number", sa.Integer))
            op.execute("UPDATE tickets SET number = 1 WHERE number IS NULL")
            op.execute("UPDATE tickets SET priority = 'low' WHERE priority IS NULL")
            with op.batch_alter_table("tickets") as batch:
                batch.alter_column("number", existing_type=sa.Integer, nullable=False)
                batch.create_unique_constraint("uq_tickets_number", ["number"])
                batch.create_check_constraint("number_counts", "number > 0")
                batch.alter_column(
                    "priority",
                    existing_type=sa.String(10),
                    type_=sa.Text,
                    nullable=False,
                    server_default="low",
                )


        def downgrade():
            with op.batch_alter_table("tickets") as batch:
                batch.alter_column(
                    "priority",
                    existing_type=sa.Text,
                    type_=sa.String(10),
                    nullable=True,
                    server_default=None,
                )
                batch.drop_constraint("number_counts", type_="check")
                batch.drop_constraint("uq_tickets_number", type_="unique")
                batch.drop_column("number")
    """,
    "Titles become subjects, longer ones, and nobody misses the legacy": """
        def upgrade():
            op.drop_index("ix_tickets_legacy", "tickets")
            with op.batch_alter_table("tickets") as batch:
                batch.alter_column(
                    "title",
                    new_column_name="subject",
                    existing_type=sa.String(40),
                    type_=sa.String(80),
                    existing_nullable=False,
                )
                batch.drop_column("legacy")
            op.create_index("ix_tickets_subject", "tickets", ["subject"])


        def downgrade():
            op.drop_index("ix_tickets_subject", "tickets")
            with op.batch_alter_table("tickets") as batch:
                batch.alter_column(
                    "subject",
                    new_column_name="title",
                    existing_type=sa.String(80),
                    type_=sa.String(40),
                    existing_nullable=False,
                )
                batch.add_column(sa.Column("legacy", sa.Integer))
            op.create_index("ix_tickets_legacy", "tickets", ["legacy"])
    """,
    "Notes and tags": """
        def upgrade():
            op.create_table(
                "tenantry_counters",
                sa.Column("tenant_id", sa.Uuid, primary_key=True),
                sa.Column("name", sa.String(63), primary_key=True),
                sa.Column("value", sa.BigInteger, nullable=False),
            )
            op.wall("tenantry_counters")
            op.create_table(
                "notes",
                sa.Column("tenant_id", sa.Uuid, primary_key=True),
                sa.Column("id", sa.Uuid, primary_key=True),
                sa.Column("ticket_id", sa.Uuid, sa.ForeignKey("tickets.id", ondelete="SET NULL")),
                sa.Column("hours", sa.Numeric(6, 2), nullable=False),
                sa.Column("body", sa.String, nullable=False),
            )
            op.wall("notes")
            op.create_table(
                "tags",
                sa.Column("tenant_id", sa.Uuid, primary_key=True),
                sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
                sa.Column("label", sa.String(40), nullable=False, unique=True),
            )
            op.wall("tags")
            op.create_table(
                "ticket_tags",
                sa.Column("tenant_id", sa.Uuid, primary_key=True),
                sa.Column("ticket_id", sa.Uuid, sa.ForeignKey("tickets.id"), primary_key=True),
                sa.Column("tag_id", sa.Integer, sa.ForeignKey("tags.id"), primary_key=True),
            )
            op.wall("ticket_tags")


        def downgrade():
            for name in ("ticket_tags", "tags", "notes", "tenantry_counters"):
                op.drop_table(name)
    """,
    "Tickets go with their company, and have a country": """
        def upgrade():
            with op.batch_alter_table("tickets") as batch:
                batch.drop_constraint("fk_tickets_company_id", type_="foreignkey")
                batch.create_foreign_key(
                    "fk_tickets_company_id", "companies", ["company_id"], ["id"], ondelete="CASCADE"
                )
                batch.add_column(sa.Column("country", sa.String(2)))
                batch.create_foreign_key(
                    "fk_tickets_country", "countries", ["country"], ["code"], referent_schema="tenantry_shared"
                )
            op.create_index(
                "ix_tickets_open", "tickets", ["company_id"], postgresql_where=sa.text("priority <> 'done'")
            )
            if op.get_context().dialect.name == "postgresql":
                op.execute(
                    "CREATE TRIGGER quiet BEFORE UPDATE ON tickets "
                    "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
                )


        def downgrade():
            if op.get_context().dialect.name == "postgresql":
                op.execute("DROP TRIGGER quiet ON tickets")
            op.drop_index("ix_tickets_open", "tickets")
            with op.batch_alter_table("tickets") as batch:
                batch.drop_constraint("fk_tickets_country", type_="foreignkey")
                batch.drop_column("country")
                batch.drop_constraint("fk_tickets_company_id", type_="foreignkey")
                batch.create_foreign_key("fk_tickets_company_id", "companies", ["company_id"], ["id"])
    """,
}

NAMES = [f"r{number}" for number in range(1, len(REVISIONS) + 1)]


def write_history(directory: Path) -> str:
    """Writes the revisions as an application would keep them, and returns the directory."""
    versions = directory / "versions"
    versions.mkdir(parents=True)
    for name, before, (title, body) in zip(NAMES, [None, *NAMES], REVISIONS.items(), strict=False):
        text = _HEADER.format(title=title, revision=name, before=before) + "\n" + dedent(body)
        (versions / f"{name}.py").write_text(text)
    return str(directory)
