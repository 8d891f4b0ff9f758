"""articles and objects of every kind

Revision ID: knowledge
Revises: desk
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

import tenantry.models

revision: str = "knowledge"
down_revision: str | Sequence[str] | None = "desk"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_categories()
    _create_folders()
    _create_articles()
    _create_integrated_objects()
    _create_summaries()
    _create_vector_links()


def downgrade() -> None:
    for table in ("vector_links", "summaries", "integrated_objects", "articles", "folders", "categories"):
        op.drop_table(table)


def _create_categories() -> None:
    op.create_table(
        "categories",
        *_key(),
        *_company(),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        *_times(),
        _refers("categories", "company_id", "companies", "CASCADE"),
        _primary("categories"),
        sa.UniqueConstraint("tenant_id", "platform", "name", name=op.f("uq_categories_platform_name")),
    )
    op.wall("categories")


def _create_folders() -> None:
    op.create_table(
        "folders",
        *_key(),
        *_company(),
        sa.Column("category_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        *_times(),
        _refers("folders", "category_id", "categories", "CASCADE"),
        _refers("folders", "company_id", "companies", "CASCADE"),
        _primary("folders"),
        sa.UniqueConstraint("tenant_id", "category_id", "name", name=op.f("uq_folders_category_id_name")),
    )
    op.wall("folders")


def _create_articles() -> None:
    op.create_table(
        "articles",
        *_key(),
        *_company(),
        sa.Column("article_id", sa.String(length=100), nullable=False),
        sa.Column("folder_id", sa.Uuid(), nullable=True),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column("published_at", tenantry.models.UTCDateTime(), nullable=True),
        *_times(),
        sa.CheckConstraint("status IN ('draft', 'published', 'archived')", name="ck_articles_status"),
        sa.CheckConstraint("views >= 0", name="ck_articles_views"),
        _refers("articles", "author_id", "agents", "SET NULL (author_id)"),
        _refers("articles", "company_id", "companies", "CASCADE"),
        _refers("articles", "folder_id", "folders", "SET NULL (folder_id)"),
        _primary("articles"),
        sa.UniqueConstraint("tenant_id", "platform", "article_id", name=op.f("uq_articles_platform_article_id")),
    )
    op.wall("articles")
    _index("articles", "author_id")
    _index("articles", "folder_id")
    _index("articles", "status")


def _create_integrated_objects() -> None:
    op.create_table(
        "integrated_objects",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(length=50), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("original_id", sa.String(length=100), nullable=False),
        sa.Column("object_type", sa.String(length=50), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=True),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("object_metadata", tenantry.models.JSONDocument(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("embedding_status", sa.String(length=20), nullable=False),
        sa.Column("vector_id", sa.String(length=255), nullable=True),
        sa.Column("synced_at", tenantry.models.UTCDateTime(), nullable=True),
        *_times(),
        sa.CheckConstraint(
            "embedding_status IN ('pending', 'synced', 'failed')", name="ck_integrated_objects_embedding_status"
        ),
        _primary("integrated_objects"),
        sa.UniqueConstraint(
            "tenant_id",
            "platform",
            "object_type",
            "original_id",
            name=op.f("uq_integrated_objects_platform_object_type_original_id"),
        ),
    )
    op.wall("integrated_objects")
    _index("integrated_objects", "embedding_status")
    _index("integrated_objects", "object_type")


def _create_summaries() -> None:
    op.create_table(
        "summaries",
        *_key(),
        sa.Column("object_id", sa.String(length=255), nullable=False),
        sa.Column("summary_text", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("language", sa.String(length=10), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("quality_score", sa.Double(), nullable=True),
        *_times(),
        sa.CheckConstraint("completion_tokens >= 0", name="ck_summaries_completion_tokens"),
        sa.CheckConstraint("prompt_tokens >= 0", name="ck_summaries_prompt_tokens"),
        sa.CheckConstraint("quality_score BETWEEN 0 AND 1", name="ck_summaries_quality_score"),
        _refers("summaries", "object_id", "integrated_objects", "CASCADE"),
        _primary("summaries"),
    )
    op.wall("summaries")
    _index("summaries", "object_id")


def _create_vector_links() -> None:
    op.create_table(
        "vector_links",
        *_key(),
        sa.Column("object_id", sa.String(length=255), nullable=False),
        sa.Column("collection", sa.String(length=100), nullable=False),
        sa.Column("vector_id", sa.String(length=255), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("dim", sa.Integer(), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("synced_at", tenantry.models.UTCDateTime(), nullable=True),
        *_times(),
        sa.CheckConstraint("status IN ('pending', 'synced', 'failed')", name="ck_vector_links_status"),
        sa.CheckConstraint("attempts >= 0", name="ck_vector_links_attempts"),
        _refers("vector_links", "object_id", "integrated_objects", "CASCADE"),
        _primary("vector_links"),
        sa.UniqueConstraint("tenant_id", "collection", "vector_id", name=op.f("uq_vector_links_collection_vector_id")),
    )
    op.wall("vector_links")
    _index("vector_links", "object_id")
    _index("vector_links", "status")


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
