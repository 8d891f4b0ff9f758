"""The workspace, its users, and its connections to CRMs."""

from __future__ import annotations

import datetime
import uuid
from typing import Any, Self

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, synonym

from tenantry.models import JSONDocument, SecretReference, SoftDelete, TenantRecord, Timestamps, UTCDateTime
from tenantry.packs.meetings.base import MeetingsBase, OfWorkspace, to_workspace
from tenantry.packs.meetings.kept import APIRateLimit, AuditLog
from tenantry.packs.meetings.sessions import AccountMapping, MeetingSession
from tenantry.packs.meetings.words import (
    ConnectionStatus,
    CRMProvider,
    PlanTier,
    SubscriptionStatus,
    UserRole,
    one_of,
)

_LIVE = text("deleted_at IS NULL")
_DEFAULT = text("is_default AND deleted_at IS NULL")


class Tenant(SoftDelete, TenantRecord, Timestamps, MeetingsBase):
    """The tenant itself: one Slack workspace, known as ``("slack_team", slack_team_id)``."""

    __tablename__ = "tenants"
    __table_args__ = (
        # What the keys of all other tables lead to.
        UniqueConstraint("tenant_id", info={"include_deleted": True}),
        UniqueConstraint("slack_team_id"),
        one_of(PlanTier, table="tenants", column="plan_tier"),
        one_of(SubscriptionStatus, table="tenants", column="subscription_status"),
        Index(None, "subscription_status"),
        Index("ix_tenants_live", "id", postgresql_where=_LIVE, sqlite_where=_LIVE),
    )

    slack_team_id: Mapped[str] = mapped_column(String(32))
    slack_team_name: Mapped[str] = mapped_column(String(255))
    plan_tier: Mapped[str] = mapped_column(String(20), default=PlanTier.FREE)
    subscription_status: Mapped[str] = mapped_column(String(20), default=SubscriptionStatus.ACTIVE)
    slack_domain: Mapped[str | None] = mapped_column(String(255))
    slack_enterprise_id: Mapped[str | None] = mapped_column(String(32))
    bot_token_secret_id: Mapped[str | None] = mapped_column(SecretReference)
    trial_ends_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    subscription_ends_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    settings: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)
    installed_by_slack_user_id: Mapped[str | None] = mapped_column(String(32))

    users: Mapped[list[User]] = relationship(
        back_populates="tenant", cascade="all, delete-orphan", passive_deletes=True
    )
    crm_connections: Mapped[list[CRMConnection]] = relationship(
        back_populates="tenant", cascade="all, delete-orphan", passive_deletes=True
    )
    meeting_sessions: Mapped[list[MeetingSession]] = relationship(
        back_populates="tenant", cascade="all, delete-orphan", passive_deletes=True
    )
    account_mappings: Mapped[list[AccountMapping]] = relationship(
        back_populates="tenant", cascade="all, delete-orphan", passive_deletes=True
    )
    audit_logs: Mapped[list[AuditLog]] = relationship(
        primaryjoin=lambda: Tenant.tenant_id == AuditLog.tenant_id,
        foreign_keys=lambda: AuditLog.tenant_id,
        order_by=lambda: AuditLog.seq,
        viewonly=True,
    )
    api_rate_limits: Mapped[list[APIRateLimit]] = relationship(
        primaryjoin=lambda: Tenant.tenant_id == APIRateLimit.tenant_id,
        foreign_keys=lambda: APIRateLimit.tenant_id,
        viewonly=True,
    )

    @classmethod
    def get_by_slack_team_id(cls, session: Session, slack_team_id: str) -> Self | None:
        """Returns the workspace that Slack calls so, or None."""
        return session.scalars(select(cls).where(cls.slack_team_id == slack_team_id)).first()

    @classmethod
    def get_by_id(cls, session: Session, tenant_id: uuid.UUID) -> Self | None:
        """Returns the workspace of this id, or None."""
        return session.scalars(select(cls).where(cls.tenant_id == tenant_id)).first()

    def get_default_crm_connection(self, session: Session) -> CRMConnection | None:
        """Returns the connection that is used where none is named, or None."""
        default = CRMConnection.tenant_id == self.tenant_id, CRMConnection.is_default
        return session.scalars(select(CRMConnection).where(*default)).first()


class User(OfWorkspace, MeetingsBase, subject="slack_email"):
    """Somebody in the workspace."""

    __tablename__ = "users"
    __table_args__ = (
        to_workspace(),
        UniqueConstraint("slack_user_id"),
        one_of(UserRole, table="users", column="role"),
        Index(None, "slack_email"),
    )

    slack_user_id: Mapped[str] = mapped_column(String(32))
    slack_email: Mapped[str | None] = mapped_column(String(320))
    role: Mapped[str] = mapped_column(String(20), default=UserRole.MEMBER)
    preferences: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
    slack_display_name: Mapped[str | None] = mapped_column(String(255))
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    is_active: Mapped[bool] = mapped_column(default=True)
    last_active_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    crm_connections: Mapped[list[CRMConnection]] = relationship(back_populates="connected_by", passive_deletes=True)
    meeting_sessions: Mapped[list[MeetingSession]] = relationship(back_populates="user", passive_deletes=True)


class CRMConnection(OfWorkspace, MeetingsBase):
    """Leads to one CRM of the workspace; ``credentials_secret_id`` says where the credentials are, and is none."""

    __tablename__ = "crm_connections"
    __table_args__ = (
        to_workspace(),
        one_of(CRMProvider, table="crm_connections", column="provider_type"),
        one_of(ConnectionStatus, table="crm_connections", column="status"),
        Index(None, "status"),
        Index(None, "connected_by_user_id"),
        Index(
            "uq_crm_connections_default", "is_default", unique=True, postgresql_where=_DEFAULT, sqlite_where=_DEFAULT
        ),
    )

    provider_type: Mapped[str] = mapped_column(String(20))
    credentials_secret_id: Mapped[str] = mapped_column(SecretReference)
    connected_by_user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    is_default: Mapped[bool] = mapped_column(default=False)
    connection_name: Mapped[str | None] = mapped_column(String(255))
    external_account_id: Mapped[str | None] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(20), default=ConnectionStatus.ACTIVE)
    last_sync_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)
    token_expires_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    settings: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)

    created_by = synonym("connected_by_user_id")
    connected_by: Mapped[User | None] = relationship(back_populates="crm_connections")
    account_mappings: Mapped[list[AccountMapping]] = relationship(
        back_populates="crm_connection", cascade="all, delete-orphan", passive_deletes=True
    )
    meeting_sessions: Mapped[list[MeetingSession]] = relationship(back_populates="crm_connection", passive_deletes=True)
