"""How the desk runs: synchronisations and their log, settings, the schema's versions, backups."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Connection, Index, String, Text, UniqueConstraint, event
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from tenantry.models import AppendOnly, CreatedAt, JSONValue, TenantOwned, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.models.keys import tenant_of_row
from tenantry.packs.helpdesk.base import HelpdeskBase, OfCompany
from tenantry.packs.helpdesk.words import WorkStatus, at_least_nought, one_of
from tenantry.secrets import check_reference


class SyncJob(OfCompany, HelpdeskBase):
    """One run that brings rows from a platform, with how far it came."""

    __tablename__ = "sync_jobs"
    __table_args__ = (
        one_of(WorkStatus, table="sync_jobs", column="status"),
        CheckConstraint("total >= 0 AND processed >= 0 AND failed >= 0", name="ck_sync_jobs_counts"),
        Index(None, "status"),
    )

    job_type: Mapped[str] = mapped_column(String(50))
    status: Mapped[str] = mapped_column(String(20), default=WorkStatus.PENDING)
    cursor: Mapped[str | None] = mapped_column(String(255))
    started_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    total: Mapped[int] = mapped_column(default=0)
    processed: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)


class ProcessingLog(AppendOnly, TenantOwned, CreatedAt, HelpdeskBase):
    """One step of what was done with an object; a log of it stays as it was written."""

    __tablename__ = "processing_logs"
    __table_args__ = (Index(None, "created_at"), Index(None, "object_type", "object_id"))

    company_id: Mapped[uuid.UUID] = mapped_column(default=tenant_of_row, sort_order=-90)
    object_type: Mapped[str] = mapped_column(String(50))
    object_id: Mapped[str] = mapped_column(String(255))
    step: Mapped[str] = mapped_column(String(50))
    status: Mapped[str] = mapped_column(String(20))
    message: Mapped[str | None] = mapped_column(Text)
    duration_ms: Mapped[int | None]


class TenantSetting(OfCompany, HelpdeskBase):
    """One setting of a company: any JSON value, or where a secret is, never the secret."""

    __tablename__ = "tenant_settings"
    __table_args__ = (UniqueConstraint("platform", "key"),)

    key: Mapped[str] = mapped_column(String(100))
    value: Mapped[Any] = mapped_column(JSONValue)
    is_secret_ref: Mapped[bool] = mapped_column(default=False)


class SchemaVersion(OfCompany, HelpdeskBase):
    """That the company's rows were brought from one version to the next by a migration of their own."""

    __tablename__ = "schema_versions"
    __table_args__ = (UniqueConstraint("version"), at_least_nought("duration_ms", table="schema_versions"))

    version: Mapped[str] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(Text)
    checksum: Mapped[str | None] = mapped_column(String(64))
    applied_at: Mapped[datetime.datetime] = mapped_column(UTCDateTime, default=utc_now)
    success: Mapped[bool] = mapped_column(default=True)
    duration_ms: Mapped[int | None]


class BackupRecord(OfCompany, HelpdeskBase):
    """A backup of the company's rows as its owner sees it; the archive itself is signed and kept elsewhere."""

    __tablename__ = "backup_records"
    __table_args__ = (
        one_of(WorkStatus, table="backup_records", column="status"),
        at_least_nought("size", table="backup_records"),
        Index(None, "started_at"),
    )

    filename: Mapped[str] = mapped_column(String(255))
    path: Mapped[str | None] = mapped_column(String(1024))
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(20), default="archive")
    status: Mapped[str] = mapped_column(String(20), default=WorkStatus.RUNNING)
    error: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime.datetime] = mapped_column(UTCDateTime, default=utc_now)
    finished_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)


@event.listens_for(TenantSetting, "before_insert")
@event.listens_for(TenantSetting, "before_update")
def _check_reference(_: Mapper[Any], __: Connection, row: TenantSetting) -> None:
    if row.is_secret_ref:
        check_reference(row.value, whose=f"The setting {row.key!r}")
