"""The repositories of topics and of the graph: who is next to whom, who is within reach, and by which ways."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from tenantry.observe import track_metrics
from tenantry.packs.documents import graph
from tenantry.packs.documents.models import Document
from tenantry.packs.documents.models_graph import DocumentTopic, GraphNode, GraphRelationship, Topic
from tenantry.packs.documents.repositories import KeptRepository
from tenantry.repository import Query, Repository
from tenantry.repository.core import Key
from tenantry.repository.pages import check_bound

DOCUMENT_NODE = "document"
_READS = (GraphNode, GraphRelationship)
# How many of the shortest ways may lead through hidden documents before fewer are found than were asked for.
_HIDDEN = 50


@dataclass(frozen=True, slots=True)
class Reached:
    """A node within reach, and how many steps away it is."""

    node: GraphNode
    depth: int


@dataclass(frozen=True, slots=True)
class TopicCount:
    """A topic and how many documents are about it."""

    topic_id: uuid.UUID
    name: str
    documents: int


class TopicRepository(KeptRepository[Topic]):
    """What documents are about."""

    ttls: ClassVar[dict[str, float]] = {"most_used": 300.0}

    def get_by_name(self, name: str) -> Topic | None:
        """Returns the topic called so, or None."""
        return self.find(name=name)

    def of_document(self, document_id: uuid.UUID) -> list[Topic]:
        """Returns the topics of a document, those it is most about first."""
        of_it = select(DocumentTopic).where(DocumentTopic.document_id == document_id)
        links = self.session.scalars(of_it.order_by(DocumentTopic.relevance_score.desc(), DocumentTopic.topic_id))
        return self.in_order([link.topic_id for link in links])

    def assign(self, document_id: uuid.UUID, topic_id: uuid.UUID, *, relevance: float = 1.0) -> DocumentTopic:
        """Returns the link of a document to a topic, made or with a new relevance."""
        links = Repository(self.session, model=DocumentTopic)
        link = {"document_id": document_id, "topic_id": topic_id, "relevance_score": relevance}
        return links.upsert(link, key=["document_id", "topic_id"])

    def unassign(self, document_id: uuid.UUID, topic_id: uuid.UUID) -> None:
        """Takes a topic off a document.

        Raises: RecordNotFound.
        """
        links = Repository(self.session, model=DocumentTopic)
        links.delete(links.one(document_id=document_id, topic_id=topic_id))

    @track_metrics
    def most_used(self, limit: int = 20) -> list[TopicCount]:
        """Returns the topics that most documents are about.

        Raises: InvalidPage.
        """
        check_bound("limit", limit)
        reads = [Topic, DocumentTopic, Document]
        found = self.kept("most_used", lambda session: _used(session, limit), by=limit, reads=reads)
        return [TopicCount(*each) for each in found]


class DocumentTopicRepository(Repository[DocumentTopic]):
    """The links of documents to topics."""


def shown() -> ColumnElement[bool]:
    """Returns the condition that a node is of no hidden document, whose title it bears."""
    return or_(GraphNode.document_id.is_(None), GraphNode.document.has())


class GraphNodeRepository(KeptRepository[GraphNode]):
    """The points of the graph, and the walks from one to another; those of hidden documents are not there."""

    ttls: ClassVar[dict[str, float]] = {"within_reach": 900.0, "shortest_paths": 900.0}

    def get(self, key: Key) -> GraphNode | None:
        """Returns the node with this own key, or None; a key that no row can have is None too."""
        found = super().get(key)
        return found if found is not None and self.exists(id=found.id) else None

    def query(self) -> Query[GraphNode]:
        """Returns a query of all nodes, to be narrowed."""
        return super().query().where(shown())

    def of_document(self, document_id: uuid.UUID) -> list[GraphNode]:
        """Returns the nodes of a document."""
        return self.list(document_id=document_id)

    def for_document(self, document: Document) -> GraphNode:
        """Returns the first node of a document, which is made where there is none."""
        found = self.find(document_id=document.id)
        return found or self.create(document_id=document.id, node_type=DOCUMENT_NODE, label=document.title[:255])

    @track_metrics
    def neighbours(
        self,
        node_id: uuid.UUID,
        *,
        direction: graph.Direction = graph.Direction.BOTH,
        types: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[GraphNode]:
        """Returns the active nodes one step away, by label.

        Raises: InvalidPage.
        """
        near = graph.neighbours(node_id, direction=direction, types=types)
        return self.list(GraphNode.id.in_(near), is_active=True, order_by="label", limit=limit)

    @track_metrics
    def within_reach(
        self,
        node_id: uuid.UUID,
        *,
        max_depth: int = 2,
        direction: graph.Direction = graph.Direction.BOTH,
        types: Sequence[str] = (),
        limit: int = 100,
    ) -> list[Reached]:
        """Returns the nodes at most so many steps away, the nearest first, without the node itself.

        Raises: InvalidDepth, InvalidPage.
        """
        check_bound("limit", limit)
        start = select(GraphNode.id).where(GraphNode.id == node_id, GraphNode.is_active)
        statement = graph.reached(start, max_depth=max_depth, direction=direction, types=types)
        found = self.kept(
            "within_reach",
            lambda session: [(key, depth) for key, depth in session.execute(statement)],
            by=[node_id, max_depth, str(direction), sorted(types)],
            reads=_READS,
        )
        near = sorted((each for each in found if each[1]), key=lambda each: (each[1], each[0].int))[:limit]
        depths = dict(near)
        return [Reached(node, depths[node.id]) for node in self.in_order([*depths])]

    @track_metrics
    def shortest_paths(
        self,
        source: uuid.UUID,
        target: uuid.UUID,
        *,
        max_depth: int = 6,
        direction: graph.Direction = graph.Direction.BOTH,
        types: Sequence[str] = (),
        limit: int = 10,
    ) -> list[list[GraphNode]]:
        """Returns the shortest ways from one node to another, each with both ends; none where there is no way.

        Raises: InvalidDepth, InvalidPage.
        """
        check_bound("limit", limit)
        statement = graph.shortest(source, target, max_depth=max_depth, direction=direction, types=types)
        most = limit + _HIDDEN
        ways = self.kept(
            "shortest_paths",
            lambda session: [graph.nodes_of(way) for way in session.scalars(statement.limit(most))],
            by=[source, target, max_depth, str(direction), sorted(types), most],
            reads=_READS,
        )
        found = [nodes for way in ways if len(nodes := self.in_order(way)) == len(way)]
        return found[:limit]

    def shortest_path(self, /, source: uuid.UUID, target: uuid.UUID, **options: Any) -> list[GraphNode] | None:
        """Returns one of the shortest ways from one node to another, with both ends, or None.

        Raises: InvalidDepth.
        """
        return next(iter(self.shortest_paths(source, target, limit=1, **options)), None)


class GraphRelationshipRepository(Repository[GraphRelationship]):
    """The lines of the graph."""

    def connect(
        self, /, source: uuid.UUID, target: uuid.UUID, relationship_type: str, **values: Any
    ) -> GraphRelationship:
        """Returns the line of one type from a node to another, made or with new values.

        Raises: UnknownField.
        """
        ends = {"source_node_id": source, "target_node_id": target, "relationship_type": relationship_type}
        return self.upsert({**values, **ends}, key=[*ends])

    def connect_documents(
        self, /, source: Document, target: Document, relationship_type: str, **values: Any
    ) -> GraphRelationship:
        """Returns the line between two documents, whose nodes are made where they have none.

        Raises: UnknownField.
        """
        nodes = GraphNodeRepository(self.session)
        ends = nodes.for_document(source).id, nodes.for_document(target).id
        return self.connect(*ends, relationship_type, **values)

    def of_node(self, node_id: uuid.UUID) -> list[GraphRelationship]:
        """Returns the lines that begin or end at a node."""
        ends = (GraphRelationship.source_node_id == node_id) | (GraphRelationship.target_node_id == node_id)
        return self.list(ends, order_by=["relationship_type", "id"])


def _used(session: Session, limit: int) -> list[tuple[uuid.UUID, str, int]]:
    number = func.count(Document.id)
    found = (
        select(Topic.id, Topic.name, number)
        .join(DocumentTopic, DocumentTopic.topic_id == Topic.id)
        .join(Document, Document.id == DocumentTopic.document_id)
        .group_by(Topic.id, Topic.name)
        .order_by(number.desc(), Topic.name)
        .limit(limit)
    )
    return [(key, name, count) for key, name, count in session.execute(found)]
