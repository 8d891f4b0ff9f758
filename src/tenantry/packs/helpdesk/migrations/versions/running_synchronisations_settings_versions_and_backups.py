"""synchronisations, settings, versions and backups

Revision ID: running
Revises: knowledge
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

import tenantry.models

revision: str = "running"
down_revision: str | Sequence[str] | None = "knowledge"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    _create_sync_jobs()
    _create_processing_logs()
    _create_tenant_settings()
    _create_schema_versions()
    _create_backup_records()


def downgrade() -> None:
    for table in ("backup_records", "schema_versions", "tenant_settings", "processing_logs", "sync_jobs"):
        op.drop_table(table)


def _create_sync_jobs() -> None:
    op.create_table(
        "sync_jobs",
        *_key(),
        *_company(),
        sa.Column("job_type", sa.String(length=50), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("cursor", sa.String(length=255), nullable=True),
        sa.Column("started_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("finished_at", tenantry.models.UTCDateTime(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("processed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        *_times(),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'done', 'failed', 'cancelled')", name="ck_sync_jobs_status"
        ),
        sa.CheckConstraint("total >= 0 AND processed >= 0 AND failed >= 0", name="ck_sync_jobs_counts"),
        _refers("sync_jobs", "company_id", "companies", "CASCADE"),
        _primary("sync_jobs"),
    )
    op.wall("sync_jobs")
    _index("sync_jobs", "status")


def _create_processing_logs() -> None:
    op.create_table(
        "processing_logs",
        *_key(),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("object_type", sa.String(length=50), nullable=False),
        sa.Column("object_id", sa.String(length=255), nullable=False),
        sa.Column("step", sa.String(length=50), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("created_at", tenantry.models.UTCDateTime(), nullable=False),
        _primary("processing_logs"),
    )
    op.wall("processing_logs")
    op.append_only("processing_logs")
    _index("processing_logs", "created_at")
    _index("processing_logs", "object_type", "object_id")


def _create_tenant_settings() -> None:
    op.create_table(
        "tenant_settings",
        *_key(),
        *_company(),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("value", tenantry.models.JSONValue(), nullable=False),
        sa.Column("is_secret_ref", sa.Boolean(), nullable=False),
        *_times(),
        _refers("tenant_settings", "company_id", "companies", "CASCADE"),
        _primary("tenant_settings"),
        sa.UniqueConstraint("tenant_id", "platform", "key", name=op.f("uq_tenant_settings_platform_key")),
    )
    op.wall("tenant_settings")


def _create_schema_versions() -> None:
    op.create_table(
        "schema_versions",
        *_key(),
        *_company(),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("checksum", sa.String(length=64), nullable=True),
        sa.Column("applied_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        *_times(),
        sa.CheckConstraint("duration_ms >= 0", name="ck_schema_versions_duration_ms"),
        _refers("schema_versions", "company_id", "companies", "CASCADE"),
        _primary("schema_versions"),
        sa.UniqueConstraint("tenant_id", "version", name=op.f("uq_schema_versions_version")),
    )
    op.wall("schema_versions")


def _create_backup_records() -> None:
    op.create_table(
        "backup_records",
        *_key(),
        *_company(),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", tenantry.models.UTCDateTime(), nullable=False),
        sa.Column("finished_at", tenantry.models.UTCDateTime(), nullable=True),
        *_times(),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'done', 'failed', 'cancelled')", name="ck_backup_records_status"
        ),
        sa.CheckConstraint("size >= 0", name="ck_backup_records_size"),
        _refers("backup_records", "company_id", "companies", "CASCADE"),
        _primary("backup_records"),
    )
    op.wall("backup_records")
    _index("backup_records", "started_at")


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
