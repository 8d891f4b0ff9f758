"""What the desk knows: articles in folders, objects of every kind brought together, summaries, links to vectors."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import CheckConstraint, Connection, ForeignKey, Index, String, Text, UniqueConstraint, event
from sqlalchemy.orm import Mapped, Mapper, Synonym, mapped_column, relationship, synonym, validates

from tenantry.errors import CrossTenant
from tenantry.ids import parse_uuid
from tenantry.models import JSONDocument, TenantOwned, Timestamps, UTCDateTime
from tenantry.packs.helpdesk.base import HelpdeskBase, OfCompany, OnPlatform, company_of
from tenantry.packs.helpdesk.models import Agent
from tenantry.packs.helpdesk.words import ArticleStatus, SyncStatus, at_least_nought, external_id, one_of

_LONGEST_ID: Final = 255
_TICKET: Final = "ticket"


class Category(OfCompany, HelpdeskBase):
    """A part of the knowledge base."""

    __tablename__ = "categories"
    __table_args__ = (UniqueConstraint("platform", "name"),)

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    position: Mapped[int] = mapped_column(default=0)

    folders: Mapped[list[Folder]] = relationship(
        back_populates="category", cascade="all, delete-orphan", passive_deletes=True
    )


class Folder(OfCompany, HelpdeskBase):
    """Articles about one thing, within a category."""

    __tablename__ = "folders"
    __table_args__ = (UniqueConstraint("category_id", "name"),)

    category_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("categories.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    position: Mapped[int] = mapped_column(default=0)

    category: Mapped[Category] = relationship(back_populates="folders")
    articles: Mapped[list[Article]] = relationship(back_populates="folder", passive_deletes=True)


class Article(OfCompany, HelpdeskBase):
    """An answer that was written down; ``article_id`` is the platform's name for it."""

    __tablename__ = "articles"
    __table_args__ = (
        UniqueConstraint("platform", "article_id"),
        one_of(ArticleStatus, table="articles", column="status"),
        at_least_nought("views", table="articles"),
        Index(None, "status"),
        Index(None, "folder_id"),
        Index(None, "author_id"),
    )

    article_id: Mapped[str] = mapped_column(String(100), default=external_id)
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(String(500))
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default=ArticleStatus.DRAFT)
    author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agents.id", ondelete="SET NULL"))
    views: Mapped[int] = mapped_column(default=0)
    published_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    folder: Mapped[Folder | None] = relationship(back_populates="articles")
    author: Mapped[Agent | None] = relationship()


class IntegratedObject(OnPlatform, TenantOwned, Timestamps, HelpdeskBase):
    """A ticket, article or other object of a platform, in the one form that searches and summaries read.

    ``id`` is made of company, platform and original id where none is given. A ``tenant_id`` that is text is the
    company's name, and must be this tenant's.
    """

    __tablename__ = "integrated_objects"
    __table_args__ = (
        UniqueConstraint("platform", "object_type", "original_id"),
        one_of(SyncStatus, table="integrated_objects", column="embedding_status"),
        Index(None, "object_type"),
        Index(None, "embedding_status"),
    )

    id: Mapped[str] = mapped_column(String(_LONGEST_ID), primary_key=True)  # type: ignore[assignment]  # text, not a UUID
    original_id: Mapped[str] = mapped_column(String(100))
    object_type: Mapped[str] = mapped_column(String(50))
    title: Mapped[str | None] = mapped_column(String(500))
    content: Mapped[str | None] = mapped_column(Text)
    summary: Mapped[str | None] = mapped_column(Text)
    object_metadata: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
    content_hash: Mapped[str | None] = mapped_column(String(64))
    embedding_status: Mapped[str] = mapped_column(String(20), default=SyncStatus.PENDING)
    vector_id: Mapped[str | None] = mapped_column(String(255))
    synced_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    extra_metadata: Synonym[dict[str, Any]] = synonym("object_metadata")
    summaries: Mapped[list[Summary]] = relationship(
        back_populates="object", cascade="all, delete-orphan", passive_deletes=True
    )
    vector_links: Mapped[list[VectorLink]] = relationship(
        back_populates="object", cascade="all, delete-orphan", passive_deletes=True
    )

    # The company's name, where that was given for the tenant; it is compared when the row is written.
    if TYPE_CHECKING:
        _named: str | None
    else:
        _named = None

    @validates("tenant_id")
    def _take_name(self, _: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = parse_uuid(value)
        if found is None:
            self._named = value
        return found


class Summary(TenantOwned, Timestamps, HelpdeskBase):
    """What a model wrote about an object, and what that took."""

    __tablename__ = "summaries"
    __table_args__ = (
        CheckConstraint("quality_score BETWEEN 0 AND 1", name="ck_summaries_quality_score"),
        at_least_nought("prompt_tokens", table="summaries"),
        at_least_nought("completion_tokens", table="summaries"),
        Index(None, "object_id"),
    )

    object_id: Mapped[str] = mapped_column(String(_LONGEST_ID), ForeignKey("integrated_objects.id", ondelete="CASCADE"))
    summary_text: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(String(100))
    language: Mapped[str | None] = mapped_column(String(10))
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    quality_score: Mapped[float | None]

    object: Mapped[IntegratedObject] = relationship(back_populates="summaries")

    @property
    def tokens(self) -> int:
        """What the summary took, asked and answered."""
        return self.prompt_tokens + self.completion_tokens


class VectorLink(TenantOwned, Timestamps, HelpdeskBase):
    """Where a vector store keeps an object, and whether it keeps it as it is."""

    __tablename__ = "vector_links"
    __table_args__ = (
        UniqueConstraint("collection", "vector_id"),
        one_of(SyncStatus, table="vector_links", column="status"),
        at_least_nought("attempts", table="vector_links"),
        Index(None, "object_id"),
        Index(None, "status"),
    )

    object_id: Mapped[str] = mapped_column(String(_LONGEST_ID), ForeignKey("integrated_objects.id", ondelete="CASCADE"))
    collection: Mapped[str] = mapped_column(String(100))
    vector_id: Mapped[str] = mapped_column(String(255))
    model: Mapped[str | None] = mapped_column(String(100))
    dim: Mapped[int | None]
    content_hash: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(20), default=SyncStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    synced_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    object: Mapped[IntegratedObject] = relationship(back_populates="vector_links")


def integrated_id(company: str, platform: str, original_id: str, *, object_type: str = _TICKET) -> str:
    """Returns the id of an object: ``company_platform_original``, and no two objects have the same.

    An underscore in the name of the company or platform is written ``%5F``; an object that is no ticket says its kind
    before its own id; what is too long ends in a digest.
    """
    kind = quote(object_type, safe=" ")
    own = original_id if object_type == _TICKET and ":" not in original_id else f"{kind}:{original_id}"
    whole = "_".join([*(part.replace("%", "%25").replace("_", "%5F") for part in (company, platform)), own])
    if len(whole) <= _LONGEST_ID:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()
    return f"{whole[: _LONGEST_ID - len(digest) - 1]}~{digest}"


def digest_of(content: str | None) -> str | None:
    """Returns the digest by which a store tells whether it has this content."""
    return None if content is None else hashlib.sha256(content.encode()).hexdigest()


@event.listens_for(IntegratedObject, "before_insert")
def _complete(_: Mapper[Any], connection: Connection, row: IntegratedObject) -> None:
    name, _platform = company_of(row, connection)
    if row._named is not None and row._named != name:
        raise CrossTenant(model="IntegratedObject", tenant=row.tenant_id)
    if row.id is None:
        row.id = integrated_id(name or str(row.tenant_id), row.platform, row.original_id, object_type=row.object_type)
    row.content_hash = digest_of(row.content)


@event.listens_for(IntegratedObject, "before_update")
def _renew_digest(_: Mapper[Any], __: Connection, row: IntegratedObject) -> None:
    digest = digest_of(row.content)
    if digest != row.content_hash:
        row.content_hash, row.embedding_status = digest, SyncStatus.PENDING
