"""The tables of what documents are about and how they hang together: topics, graph nodes and relationships."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tenantry.models import JSONDocument, Timestamps, UTCDateTime
from tenantry.models.columns import utc_now
from tenantry.packs.documents.base import DocumentsBase, OfOrganization, of_organization, share
from tenantry.packs.documents.models import Document


class Topic(Timestamps, OfOrganization, DocumentsBase):
    """What documents of the organisation are about; topics may lie within others."""

    __tablename__ = "topics"
    __table_args__ = (of_organization(), UniqueConstraint("name"), Index(None, "parent_topic_id"))

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    keywords: Mapped[list[Any]] = mapped_column(JSONDocument, default=list)
    parent_topic_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("topics.id", ondelete="SET NULL"))
    extraction_method: Mapped[str | None] = mapped_column(String(50))

    parent: Mapped[Topic | None] = relationship(back_populates="children", remote_side="Topic.id")
    children: Mapped[list[Topic]] = relationship(back_populates="parent", passive_deletes=True)
    document_links: Mapped[list[DocumentTopic]] = relationship(
        back_populates="topic", cascade="all, delete-orphan", passive_deletes=True
    )


class DocumentTopic(Timestamps, OfOrganization, DocumentsBase):
    """That a document is about a topic, and how much."""

    __tablename__ = "document_topics"
    __table_args__ = (
        UniqueConstraint("document_id", "topic_id"),
        share("relevance_score", table="document_topics"),
        Index(None, "topic_id"),
    )

    document_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    topic_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"))
    relevance_score: Mapped[float] = mapped_column(Float, default=1.0)
    extracted_at: Mapped[datetime.datetime] = mapped_column(UTCDateTime, default=utc_now)

    document: Mapped[Document] = relationship(back_populates="topic_links")
    topic: Mapped[Topic] = relationship(back_populates="document_links")


class GraphNode(Timestamps, OfOrganization, DocumentsBase):
    """A point of the graph: a document, or whatever else documents hang together by."""

    __tablename__ = "graph_nodes"
    __table_args__ = (of_organization(), Index(None, "node_type"), Index(None, "document_id"))

    document_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("documents.id", ondelete="SET NULL"))
    node_type: Mapped[str] = mapped_column(String(50))
    label: Mapped[str] = mapped_column(String(255))
    external_id: Mapped[str | None] = mapped_column(String(255))
    properties: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)
    is_active: Mapped[bool] = mapped_column(default=True)

    document: Mapped[Document | None] = relationship(back_populates="nodes")
    outgoing: Mapped[list[GraphRelationship]] = relationship(
        back_populates="source",
        foreign_keys="GraphRelationship.source_node_id",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )
    incoming: Mapped[list[GraphRelationship]] = relationship(
        back_populates="target",
        foreign_keys="GraphRelationship.target_node_id",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )


class GraphRelationship(Timestamps, OfOrganization, DocumentsBase):
    """A line of the graph from one node to another; one that is not directed leads both ways."""

    __tablename__ = "graph_relationships"
    __table_args__ = (
        UniqueConstraint(
            "source_node_id", "target_node_id", "relationship_type", name="uq_graph_relationships_from_to_type"
        ),
        CheckConstraint("source_node_id <> target_node_id", name="ck_graph_relationships_ends"),
        share("confidence", table="graph_relationships"),
        Index(None, "target_node_id"),
    )

    source_node_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("graph_nodes.id", ondelete="CASCADE"))
    target_node_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("graph_nodes.id", ondelete="CASCADE"))
    relationship_type: Mapped[str] = mapped_column(String(50))
    weight: Mapped[float] = mapped_column(Float, default=1.0)
    confidence: Mapped[float | None] = mapped_column(Float)
    is_directed: Mapped[bool] = mapped_column(default=True)
    properties: Mapped[dict[str, Any]] = mapped_column(JSONDocument, default=dict)

    source: Mapped[GraphNode] = relationship(back_populates="outgoing", foreign_keys=[source_node_id])
    target: Mapped[GraphNode] = relationship(back_populates="incoming", foreign_keys=[target_node_id])
