"""Meetings with what was made of them, and the CRM's accounts by the domains of their people."""

from __future__ import annotations

import datetime
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, validates

from tenantry.models import JSONDocument, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.packs.meetings.base import MeetingsBase, OfWorkspace, to_workspace
from tenantry.packs.meetings.words import CRMSyncStatus, MappingSource, ProcessingStatus, Sentiment, one_of

if TYPE_CHECKING:
    from tenantry.packs.meetings.models import CRMConnection, User

_LIVE = text("deleted_at IS NULL")
_VERIFIED = text("is_verified")
_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


def normalise_domain(address: str) -> str | None:
    """Returns the domain of an e-mail address, or of a domain itself, in lower case; None for what is neither."""
    domain = address.strip().lower().rpartition("@")[2].rstrip(".")
    return domain if _DOMAIN.fullmatch(domain) else None


class MeetingSession(OfWorkspace, MeetingsBase):
    """A meeting, from its recording to the note in the CRM."""

    __tablename__ = "meeting_sessions"
    __table_args__ = (
        to_workspace(),
        UniqueConstraint("fathom_meeting_id"),
        one_of(ProcessingStatus, table="meeting_sessions", column="processing_status"),
        one_of(CRMSyncStatus, table="meeting_sessions", column="crm_sync_status"),
        one_of(Sentiment, table="meeting_sessions", column="sentiment"),
        CheckConstraint("tokens_used >= 0", name="ck_meeting_sessions_tokens_used"),
        CheckConstraint("duration_seconds >= 0", name="ck_meeting_sessions_duration_seconds"),
        Index(None, "created_at"),
        Index(None, "user_id", "created_at"),
        Index(None, "crm_connection_id"),
        Index(None, "processing_status"),
        Index("ix_meeting_sessions_live", "created_at", postgresql_where=_LIVE, sqlite_where=_LIVE),
    )

    user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    crm_connection_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("crm_connections.id", ondelete="SET NULL"))
    processing_status: Mapped[str] = mapped_column(String(20), default=ProcessingStatus.PENDING)
    fathom_meeting_id: Mapped[str | None] = mapped_column(String(255))
    title: Mapped[str | None] = mapped_column(String(500))
    meeting_url: Mapped[str | None] = mapped_column(String(1024))
    recording_url: Mapped[str | None] = mapped_column(String(1024))
    started_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    duration_seconds: Mapped[int | None]
    participants: Mapped[list[Any]] = mapped_column(JSONDocument, default=list)
    transcript_ref: Mapped[str | None] = mapped_column(String(1024))
    ai_summary: Mapped[str | None] = mapped_column(Text)
    action_items: Mapped[list[Any]] = mapped_column(JSONDocument, default=list)
    key_points: Mapped[list[Any]] = mapped_column(JSONDocument, default=list)
    sentiment: Mapped[str | None] = mapped_column(String(20))
    ai_model: Mapped[str | None] = mapped_column(String(100))
    tokens_used: Mapped[int] = mapped_column(default=0)
    processing_error: Mapped[str | None] = mapped_column(Text)
    processed_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    crm_account_id: Mapped[str | None] = mapped_column(String(255))
    crm_account_name: Mapped[str | None] = mapped_column(String(255))
    crm_note_id: Mapped[str | None] = mapped_column(String(255))
    crm_deal_id: Mapped[str | None] = mapped_column(String(255))
    crm_sync_status: Mapped[str] = mapped_column(String(20), default=CRMSyncStatus.NONE)
    crm_synced_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    slack_channel_id: Mapped[str | None] = mapped_column(String(32))
    slack_message_ts: Mapped[str | None] = mapped_column(String(32))

    user: Mapped[User | None] = relationship(back_populates="meeting_sessions")
    crm_connection: Mapped[CRMConnection | None] = relationship(back_populates="meeting_sessions")

    @classmethod
    def get_user_sessions(cls, session: Session, user_id: uuid.UUID, limit: int = 50, days: int = 30) -> list[Self]:
        """Returns the user's meetings of the last days, the latest first."""
        since = utc_now() - datetime.timedelta(days=days)
        own = select(cls).where(cls.user_id == user_id, cls.created_at >= since)
        return list(session.scalars(own.order_by(cls.created_at.desc(), cls.id.desc()).limit(limit)))


class AccountMapping(OfWorkspace, MeetingsBase):
    """The CRM's account of those whose addresses end in ``email_domain``, which is kept in lower case."""

    __tablename__ = "account_mappings"
    __table_args__ = (
        to_workspace(),
        UniqueConstraint("crm_connection_id", "email_domain"),
        one_of(MappingSource, table="account_mappings", column="source"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="ck_account_mappings_confidence"),
        Index(None, "crm_connection_id"),
        Index(None, "email_domain"),
        Index(None, "verified_by_user_id"),
        Index("ix_account_mappings_verified", "email_domain", postgresql_where=_VERIFIED, sqlite_where=_VERIFIED),
    )

    crm_connection_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("crm_connections.id", ondelete="CASCADE"))
    email_domain: Mapped[str] = mapped_column(String(255))
    crm_account_id: Mapped[str] = mapped_column(String(255))
    crm_account_name: Mapped[str | None] = mapped_column(String(255))
    is_verified: Mapped[bool] = mapped_column(default=False)
    confidence: Mapped[float] = mapped_column(default=1.0)
    source: Mapped[str] = mapped_column(String(20), default=MappingSource.AUTO)
    verified_by_user_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    verified_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)
    use_count: Mapped[int] = mapped_column(default=0)
    last_used_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    crm_connection: Mapped[CRMConnection] = relationship(back_populates="account_mappings")

    @validates("email_domain")
    def _normalise(self, _: str, value: str) -> str:
        return normalise_domain(value) or value.strip().lower()

    @classmethod
    def get_by_domain(
        cls,
        session: Session,
        tenant_id: uuid.UUID,
        crm_connection_id: uuid.UUID,
        email_domain: str,
        verified_only: bool = False,
    ) -> Self | None:
        """Returns what is known of a domain, or of an address's, in one CRM, or None."""
        domain = normalise_domain(email_domain)
        own = select(cls).where(cls.tenant_id == tenant_id, cls.crm_connection_id == crm_connection_id)
        known = own.where(cls.email_domain == domain, *([cls.is_verified] if verified_only else []))
        return session.scalars(known).first()
