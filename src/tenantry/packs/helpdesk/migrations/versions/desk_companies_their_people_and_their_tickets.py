"""companies, their people and their tickets

Revision ID: desk
Revises: kept
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

import tenantry.models

revision: str = "desk"
down_revision: str | Sequence[str] | None = "kept"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_companies()
    _create_groups()
    _create_agents()
    _create_agent_groups()
    _create_contacts()
    _create_tickets()
    _create_conversations()
    _create_attachments()
    _create_tags()
    _create_ticket_tags()
    _create_ticket_fields()


def downgrade() -> None:
    for table in (
        "ticket_fields",
        "ticket_tags",
        "tags",
        "attachments",
        "conversations",
        "tickets",
        "contacts",
        "agent_groups",
        "agents",
        "groups",
        "companies",
    ):
        op.drop_table(table)


def _create_companies() -> None:
    op.create_table(
        "companies",
        *_key(),
        sa.Column("platform", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("subscription_plan", sa.String(length=50), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=True),
        sa.Column("settings", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *_times(),
        sa.CheckConstraint("tenant_id = id", name=op.f("ck_companies_is_tenant")),
        _primary("companies"),
        sa.UniqueConstraint("tenant_id", "name", "platform", name=op.f("uq_companies_name_platform")),
    )
    op.wall("companies")


def _create_groups() -> None:
    op.create_table(
        "groups",
        *_key(),
        *_company(),
        sa.Column("group_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *_times(),
        _refers("groups", "company_id", "companies", "CASCADE"),
        _primary("groups"),
        sa.UniqueConstraint("tenant_id", "platform", "group_id", name=op.f("uq_groups_platform_group_id")),
    )
    op.wall("groups")


def _create_agents() -> None:
    op.create_table(
        "agents",
        *_key(),
        *_company(),
        sa.Column("agent_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("role", sa.String(length=30), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *_times(),
        _refers("agents", "company_id", "companies", "CASCADE"),
        _refers("agents", "group_id", "groups", "SET NULL (group_id)"),
        _primary("agents"),
        sa.UniqueConstraint("tenant_id", "platform", "agent_id", name=op.f("uq_agents_platform_agent_id")),
    )
    op.wall("agents")
    _index("agents", "email")
    _index("agents", "group_id")


def _create_agent_groups() -> None:
    op.create_table(
        "agent_groups",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        _refers("agent_groups", "agent_id", "agents", "CASCADE"),
        _refers("agent_groups", "group_id", "groups", "CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "agent_id", "group_id", name=op.f("pk_agent_groups")),
    )
    op.wall("agent_groups")


def _create_contacts() -> None:
    op.create_table(
        "contacts",
        *_key(),
        *_company(),
        sa.Column("contact_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("phone", sa.String(length=50), nullable=True),
        sa.Column("organization", sa.String(length=255), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        *_times(),
        _refers("contacts", "company_id", "companies", "CASCADE"),
        _primary("contacts"),
        sa.UniqueConstraint("tenant_id", "platform", "contact_id", name=op.f("uq_contacts_platform_contact_id")),
    )
    op.wall("contacts")
    _index("contacts", "email")


def _create_tickets() -> None:
    op.create_table(
        "tickets",
        *_key(),
        *_company(),
        sa.Column("ticket_id", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("priority", sa.String(length=20), nullable=False),
        sa.Column("requester_email", sa.String(length=320), nullable=True),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("requester_id", sa.Uuid(), nullable=True),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        sa.Column("type", sa.String(length=50), nullable=True),
        sa.Column("source", sa.String(length=30), nullable=True),
        sa.Column("due_by", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("first_responded_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("resolved_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("closed_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("custom_fields", tenantry.models.JSONDocument(), nullable=False),
        *_times(),
        sa.Column("deleted_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.CheckConstraint("priority IN ('low', 'medium', 'high', 'urgent')", name="ck_tickets_priority"),
        sa.CheckConstraint("status IN ('open', 'pending', 'resolved', 'closed')", name="ck_tickets_status"),
        _refers("tickets", "agent_id", "agents", "SET NULL (agent_id)"),
        _refers("tickets", "company_id", "companies", "CASCADE"),
        _refers("tickets", "group_id", "groups", "SET NULL (group_id)"),
        _refers("tickets", "requester_id", "contacts", "SET NULL (requester_id)"),
        _primary("tickets"),
        sa.UniqueConstraint("tenant_id", "platform", "ticket_id", name=op.f("uq_tickets_platform_ticket_id")),
    )
    op.wall("tickets")
    _index("tickets", "agent_id")
    _index("tickets", "created_at")
    _index("tickets", "group_id")
    _index("tickets", "priority")
    _index("tickets", "requester_email")
    _index("tickets", "requester_id")
    _index("tickets", "status")


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        *_key(),
        *_company(),
        sa.Column("conversation_id", sa.String(length=100), nullable=False),
        sa.Column("ticket_id", sa.String(length=100), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("author_type", sa.String(length=20), nullable=False),
        sa.Column("author_id", sa.String(length=100), nullable=True),
        sa.Column("body_html", sa.Text(), nullable=True),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("attachments", tenantry.models.JSONDocument(), nullable=False),
        *_times(),
        sa.Column("deleted_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("deleted_by", sa.String(length=255), nullable=True),
        sa.CheckConstraint("author_type IN ('agent', 'requester', 'system')", name="ck_conversations_author_type"),
        _refers("conversations", "company_id", "companies", "CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "platform", "ticket_id"],
            ["tickets.tenant_id", "tickets.platform", "tickets.ticket_id"],
            name=op.f("fk_conversations_platform_ticket_id"),
            ondelete="CASCADE",
        ),
        _primary("conversations"),
        sa.UniqueConstraint(
            "tenant_id", "platform", "conversation_id", name=op.f("uq_conversations_platform_conversation_id")
        ),
    )
    op.wall("conversations")
    _index("conversations", "platform", "ticket_id", "created_at")
    _index("conversations", "ticket_id", "created_at")


def _create_attachments() -> None:
    op.create_table(
        "attachments",
        *_key(),
        *_company(),
        sa.Column("attachment_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=127), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("storage_key", sa.String(length=1024), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("ticket_pk", sa.Uuid(), nullable=True),
        sa.Column("conversation_pk", sa.Uuid(), nullable=True),
        *_times(),
        sa.CheckConstraint("size >= 0", name="ck_attachments_size"),
        _refers("attachments", "company_id", "companies", "CASCADE"),
        _refers("attachments", "conversation_pk", "conversations", "CASCADE"),
        _refers("attachments", "ticket_pk", "tickets", "CASCADE"),
        _primary("attachments"),
        sa.UniqueConstraint(
            "tenant_id", "platform", "attachment_id", name=op.f("uq_attachments_platform_attachment_id")
        ),
    )
    op.wall("attachments")
    _index("attachments", "conversation_pk")
    _index("attachments", "ticket_pk")


def _create_tags() -> None:
    op.create_table(
        "tags",
        *_key(),
        *_company(),
        sa.Column("name", sa.String(length=100), nullable=False),
        *_times(),
        _refers("tags", "company_id", "companies", "CASCADE"),
        _primary("tags"),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_tags_name")),
    )
    op.wall("tags")


def _create_ticket_tags() -> None:
    op.create_table(
        "ticket_tags",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_pk", sa.Uuid(), nullable=False),
        sa.Column("tag_id", sa.Uuid(), nullable=False),
        _refers("ticket_tags", "tag_id", "tags", "CASCADE"),
        _refers("ticket_tags", "ticket_pk", "tickets", "CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "ticket_pk", "tag_id", name=op.f("pk_ticket_tags")),
    )
    op.wall("ticket_tags")
    _index("ticket_tags", "tag_id")


def _create_ticket_fields() -> None:
    op.create_table(
        "ticket_fields",
        *_key(),
        *_company(),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("label", sa.String(length=255), nullable=True),
        sa.Column("field_type", sa.String(length=30), nullable=False),
        sa.Column("choices", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *_times(),
        _refers("ticket_fields", "company_id", "companies", "CASCADE"),
        _primary("ticket_fields"),
        sa.UniqueConstraint("tenant_id", "platform", "name", name=op.f("uq_ticket_fields_platform_name")),
    )
    op.wall("ticket_fields")


def _key() -> list[sa.Column[Any]]:
    return [sa.Column("tenant_id", sa.Uuid(), nullable=False), sa.Column("id", sa.Uuid(), nullable=False)]


def _company() -> list[sa.Column[Any]]:
    return [
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=50), nullable=False),
    ]


def _times() -> list[sa.Column[Any]]:
    return [sa.Column(name, tenantry.models.UTCDateTime(), nullable=False) for name in ("created_at", "updated_at")]


def _primary(table: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f(f"pk_{table}"))


def _refers(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    own, other = ["tenant_id", column], [f"{target}.tenant_id", f"{target}.id"]
    return sa.ForeignKeyConstraint(own, other, name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, ["tenant_id", *columns], unique=False)
