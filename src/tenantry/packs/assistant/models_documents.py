"""Documents and their chunks: a company's own, and those for everybody, which stand once."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, synonym, validates

from tenantry.errors import ScopeRefused
from tenantry.models import JSONDocument, Lifecycle, Shared, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.packs.assistant.base import AssistantBase, Numbered, OfCompany, one_of
from tenantry.packs.assistant.words import ProcessingStatus, Scope


class DocumentColumns:
    """What is known of every document."""

    filename: Mapped[str] = mapped_column(String)
    original_filename: Mapped[str] = mapped_column(String)
    file_path: Mapped[str] = mapped_column(String)
    file_size: Mapped[int | None] = mapped_column(Integer)
    file_type: Mapped[str | None] = mapped_column(String)
    processing_status: Mapped[str] = mapped_column(String, default=ProcessingStatus.PENDING)
    is_processed: Mapped[bool] = mapped_column(default=False)
    summary: Mapped[str | None] = mapped_column(Text)
    keywords: Mapped[list[Any] | None] = mapped_column(JSONDocument)
    topics: Mapped[list[Any] | None] = mapped_column(JSONDocument)
    content_type: Mapped[str | None] = mapped_column(String)
    uploaded_by_id: Mapped[int | None] = mapped_column(Integer)
    uploaded_at: Mapped[datetime.datetime] = mapped_column(UTCDateTime, default=utc_now)
    processed_at: Mapped[datetime.datetime | None] = mapped_column(UTCDateTime)

    @validates("processing_status")
    def _keep_in_step(self, _: str, status: str) -> str:
        self.is_processed = status == ProcessingStatus.COMPLETED
        return status


class ChunkColumns:
    """What is known of every chunk of a document; ``embedding_id`` is the vector's name where vectors are kept."""

    chunk_index: Mapped[int] = mapped_column(Integer)
    content: Mapped[str] = mapped_column(Text)
    token_count: Mapped[int | None] = mapped_column(Integer)
    page_number: Mapped[int | None] = mapped_column(Integer)


class Document(DocumentColumns, OfCompany, AssistantBase):
    """A document of the company, or of the one user who uploaded it; ``user_id`` says who that was too."""

    __tablename__ = "documents"
    __table_args__ = (
        CheckConstraint("scope IN ('company', 'user')", name="ck_documents_scope"),
        one_of(ProcessingStatus, table="documents", column="processing_status"),
        CheckConstraint("is_processed = (processing_status = 'completed')", name="ck_documents_is_processed"),
        Index(None, "processing_status"),
        Index(None, "uploaded_by_id"),
        Index(None, "uploaded_at"),
    )

    scope: Mapped[str] = mapped_column(String, default=Scope.USER)

    user_id = synonym("uploaded_by_id")
    chunks: Mapped[list[DocumentChunk]] = relationship(
        back_populates="document",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="DocumentChunk.chunk_index",
    )

    @validates("scope")
    def _refuse_global(self, _: str, scope: str) -> str:
        if scope == Scope.GLOBAL:
            raise ScopeRefused
        return scope


class DocumentChunk(ChunkColumns, Numbered, AssistantBase):
    """A piece of a document's text, small enough for one embedding."""

    __tablename__ = "document_chunks"
    __table_args__ = (UniqueConstraint("document_id", "chunk_index"), UniqueConstraint("embedding_id"))

    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    embedding_id: Mapped[str | None] = mapped_column(String)

    document: Mapped[Document] = relationship(back_populates="chunks")


class GlobalDocument(DocumentColumns, Shared, AssistantBase):
    """A document for every company; the platform writes it, once."""

    __tablename__ = "global_documents"
    __table_args__ = (
        CheckConstraint("scope = 'global'", name="ck_global_documents_scope"),
        one_of(ProcessingStatus, table="global_documents", column="processing_status"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, sort_order=-98)
    scope: Mapped[str] = mapped_column(String, default=Scope.GLOBAL)

    chunks: Mapped[list[GlobalDocumentChunk]] = relationship(
        back_populates="document",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="GlobalDocumentChunk.chunk_index",
    )


class GlobalDocumentChunk(ChunkColumns, Shared, AssistantBase):
    """A piece of the text of a document for every company."""

    __tablename__ = "global_document_chunks"
    __table_args__ = (UniqueConstraint("document_id", "chunk_index"), UniqueConstraint("embedding_id"))

    id: Mapped[int] = mapped_column(Integer, primary_key=True, sort_order=-98)
    document_id: Mapped[int] = mapped_column(
        ForeignKey("tenantry_shared.global_documents.id", ondelete="CASCADE"), index=True
    )
    embedding_id: Mapped[str | None] = mapped_column(String)

    document: Mapped[GlobalDocument] = relationship(back_populates="chunks")


_STEPS: Final[Mapping[str, Collection[str]]] = {
    ProcessingStatus.PENDING: (ProcessingStatus.PROCESSING, ProcessingStatus.FAILED),
    ProcessingStatus.PROCESSING: (ProcessingStatus.COMPLETED, ProcessingStatus.FAILED),
    ProcessingStatus.COMPLETED: (ProcessingStatus.PENDING,),
    ProcessingStatus.FAILED: (ProcessingStatus.PENDING,),
}
# Back to pending: to be processed anew. A row may begin anywhere, since histories are imported.
PROCESSING: Final = Lifecycle(Document.processing_status, _STEPS, stamps={ProcessingStatus.COMPLETED: "processed_at"})
GLOBAL_PROCESSING: Final = Lifecycle(
    GlobalDocument.processing_status, _STEPS, stamps={ProcessingStatus.COMPLETED: "processed_at"}
)
