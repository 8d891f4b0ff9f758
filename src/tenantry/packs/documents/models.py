"""The tables of documents: organisations, their users, documents with versions, and summaries."""

from __future__ import annotations

import datetime
import enum
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from tenantry.models import (
    AppendOnly,
    CreatedAt,
    JSONDocument,
    Lifecycle,
    SoftDelete,
    TenantRecord,
    Timestamps,
    UTCDateTime,
)
from tenantry.models.soft_delete import INCLUDE_DELETED
from tenantry.packs.documents.base import (
    Described,
    DocumentsBase,
    OfOrganization,
    digest_of,
    of_organization,
    one_of,
    share,
)

if TYPE_CHECKING:
    from tenantry.packs.documents.models_graph import DocumentTopic, GraphNode, Topic


class DocumentStatus(enum.StrEnum):
    """How far a document has come."""

    DRAFT = "draft"
    PROCESSING = "processing"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class UserRole(enum.StrEnum):
    """What a user may; ``permissions`` says what that is."""

    ADMIN = "admin"
    EDITOR = "editor"
    MEMBER = "member"
    VIEWER = "viewer"


class SummaryType(enum.StrEnum):
    """How much a summary tells."""

    BRIEF = "brief"
    DETAILED = "detailed"
    EXECUTIVE = "executive"


class Organization(SoftDelete, Timestamps, TenantRecord, DocumentsBase):
    """The tenant itself: a business that keeps its documents here."""

    __tablename__ = "organizations"
    __table_args__ = (
        UniqueConstraint("name"),
        UniqueConstraint("slug"),
        UniqueConstraint("tenant_id", name="uq_organizations_tenant", info={INCLUDE_DELETED: True}),
    )

    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str | None] = mapped_column(String(100))
    domain: Mapped[str | None] = mapped_column(String(255))
    plan: Mapped[str] = mapped_column(String(50), default="free")
    settings: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)

    users: Mapped[list[User]] = relationship(back_populates="organization", passive_deletes="all")
    documents: Mapped[list[Document]] = relationship(back_populates="organization", passive_deletes="all")


class User(SoftDelete, Timestamps, OfOrganization, DocumentsBase, subject="email"):
    """Somebody of the organisation; ``email`` is kept in small letters."""

    __tablename__ = "users"
    __table_args__ = (
        of_organization(),
        UniqueConstraint("email"),
        one_of(UserRole, table="users", column="role"),
    )

    email: Mapped[str] = mapped_column(String(320))
    username: Mapped[str | None] = mapped_column(String(150))
    display_name: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(30), default=UserRole.MEMBER)
    is_active: Mapped[bool] = mapped_column(default=True)
    last_login_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    organization: Mapped[Organization] = relationship(back_populates="users")
    documents: Mapped[list[Document]] = relationship(back_populates="owner", passive_deletes="all")

    @validates("email")
    def _lower(self, _: str, email: str) -> str:
        return email.strip().lower()


class Document(Described, SoftDelete, Timestamps, OfOrganization, DocumentsBase):
    """A document as it is now; ``version`` counts its versions, each of which stands in ``document_versions``."""

    __tablename__ = "documents"
    __table_args__ = (
        of_organization(),
        one_of(DocumentStatus, table="documents", column="status"),
        CheckConstraint("version >= 1", name="ck_documents_version"),
        Index(None, "created_at"),
        Index(None, "owner_id"),
        Index(None, "status"),
        Index(None, "content_hash"),
        Index("ix_documents_metadata", "metadata", postgresql_using="gin").ddl_if(dialect="postgresql"),
    )

    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"))
    version: Mapped[int] = mapped_column(default=1)
    title: Mapped[str] = mapped_column(String(500))
    content: Mapped[str | None] = mapped_column(Text)
    content_type: Mapped[str] = mapped_column(String(100), default="text/plain")
    status: Mapped[str] = mapped_column(String(20), default=DocumentStatus.DRAFT)
    source_url: Mapped[str | None] = mapped_column(String(1024))
    file_path: Mapped[str | None] = mapped_column(String(1024))
    file_size: Mapped[int | None] = mapped_column(BigInteger)
    content_hash: Mapped[str | None] = mapped_column(String(64))
    word_count: Mapped[int | None]
    language: Mapped[str | None] = mapped_column(String(10))

    organization: Mapped[Organization] = relationship(back_populates="documents")
    owner: Mapped[User] = relationship(back_populates="documents")
    versions: Mapped[list[DocumentVersion]] = relationship(
        back_populates="document", order_by="DocumentVersion.version_number", passive_deletes="all"
    )
    summaries: Mapped[list[Summary]] = relationship(
        back_populates="document", cascade="all, delete-orphan", passive_deletes=True
    )
    topic_links: Mapped[list[DocumentTopic]] = relationship(
        back_populates="document", cascade="all, delete-orphan", passive_deletes=True
    )
    topics: Mapped[list[Topic]] = relationship(secondary="document_topics", viewonly=True)
    nodes: Mapped[list[GraphNode]] = relationship(back_populates="document", passive_deletes=True)

    @validates("content")
    def _measure(self, _: str, content: str | None) -> str | None:
        self.content_hash = None if content is None else digest_of(content)
        self.word_count = None if content is None else len(content.split())
        return content


# What is processed may come back, since processing fails; what is archived stays so.
PROCESSING = Lifecycle(
    Document.status,
    {
        DocumentStatus.DRAFT: (DocumentStatus.PROCESSING, DocumentStatus.ARCHIVED),
        DocumentStatus.PROCESSING: (DocumentStatus.PUBLISHED, DocumentStatus.DRAFT),
        DocumentStatus.PUBLISHED: (DocumentStatus.PROCESSING, DocumentStatus.ARCHIVED),
        DocumentStatus.ARCHIVED: (),
    },
)


class DocumentVersion(Described, AppendOnly, CreatedAt, OfOrganization, DocumentsBase):
    """A document as it was: what was changed, by whom, and the whole of it; it never changes."""

    __tablename__ = "document_versions"
    __table_args__ = (
        UniqueConstraint("document_id", "version_number"),
        CheckConstraint("version_number >= 1", name="ck_document_versions_version_number"),
        Index(None, "changed_by"),
    )

    document_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("documents.id"))
    version_number: Mapped[int]
    title: Mapped[str | None] = mapped_column(String(500))
    content: Mapped[str | None] = mapped_column(Text)
    change_summary: Mapped[str | None] = mapped_column(Text)
    diff: Mapped[str | None] = mapped_column(Text)
    # No foreign key: whoever it names may be forgotten, and the version stays as it was written.
    changed_by: Mapped[uuid.UUID | None]
    content_hash: Mapped[str | None] = mapped_column(String(64))

    document: Mapped[Document] = relationship(back_populates="versions")
    author: Mapped[User | None] = relationship(
        primaryjoin="and_(User.tenant_id == foreign(DocumentVersion.tenant_id), "
        "User.id == foreign(DocumentVersion.changed_by))",
        viewonly=True,
    )


class Summary(Timestamps, OfOrganization, DocumentsBase):
    """What a tool, an agent or somebody said of a document in short."""

    __tablename__ = "summaries"
    __table_args__ = (
        one_of(SummaryType, table="summaries", column="summary_type"),
        share("confidence", table="summaries"),
        CheckConstraint("prompt_tokens >= 0 AND completion_tokens >= 0", name="ck_summaries_tokens"),
        Index(None, "document_id", "summary_type"),
    )

    document_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    document_version: Mapped[int | None]
    summary_text: Mapped[str] = mapped_column(Text)
    summary_type: Mapped[str] = mapped_column(String(30), default=SummaryType.BRIEF)
    tool_name: Mapped[str | None] = mapped_column(String(100))
    agent_name: Mapped[str | None] = mapped_column(String(100))
    model: Mapped[str | None] = mapped_column(String(100))
    language: Mapped[str | None] = mapped_column(String(10))
    confidence: Mapped[float | None] = mapped_column(Float)
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)

    document: Mapped[Document] = relationship(back_populates="summaries")
