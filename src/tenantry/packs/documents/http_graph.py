"""The routes of what documents are about and how they hang together: topics, the graph, people."""

import uuid
from typing import Any

from fastapi import APIRouter

from tenantry.packs.documents.graph import Direction
from tenantry.packs.documents.http_common import Depth, Types, page
from tenantry.packs.documents.models_graph import GraphNode
from tenantry.packs.documents.pack import Documents
from tenantry.packs.documents.repositories import OrganizationRepository, UserRepository
from tenantry.packs.documents.repositories_graph import GraphRelationshipRepository, TopicRepository
from tenantry.packs.documents.schemas import (
    LineIn,
    LineOut,
    NodeOut,
    NodesOut,
    OrganizationOut,
    RelevanceIn,
    RoleIn,
    TopicIn,
    TopicOut,
    TopicsOut,
    UserIn,
    UserOut,
    UsersOut,
)
from tenantry.session.aio import AsyncTenantSession
from tenantry.session.core import TenantSession
from tenantry.web.routes import Limit, Offset, may, reading_of, run, writing_of


def topics(routes: APIRouter, pack: Documents) -> None:
    """Adds the routes of topics."""
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/topics", dependencies=may("topics:read"), summary="The organisation's topics by name")
    async def list_topics(limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading) -> TopicsOut:
        found = await run(db, lambda s: page(pack.topics(s).query().order_by("name"), limit, offset))
        return TopicsOut.model_validate(found)

    @routes.post("/topics", status_code=201, dependencies=may("topics:create"), summary="Add a topic")
    async def create_topic(new: TopicIn, db: AsyncTenantSession = writing) -> TopicOut:
        def work(session: TenantSession) -> dict[str, Any]:
            topics = pack.topics(session)
            if new.parent_topic_id is not None:
                topics.get_one(new.parent_topic_id)
            return topics.create(new.model_dump()).to_dict()

        return TopicOut.model_validate(await run(db, work))

    @routes.delete("/topics/{topic_id}", status_code=204, dependencies=may("topics:delete"), summary="Drop a topic")
    async def delete_topic(topic_id: uuid.UUID, db: AsyncTenantSession = writing) -> None:
        await run(db, lambda session: pack.topics(session).delete(topic_id))


def links(routes: APIRouter, pack: Documents) -> None:
    """Adds the routes of what documents are about."""
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)
    base = "/documents/{document_id}/topics"

    @routes.get(base, dependencies=may("documents:read"), summary="What a document is about, the most first")
    async def list_topics_of(document_id: uuid.UUID, db: AsyncTenantSession = reading) -> list[TopicOut]:
        def work(session: TenantSession) -> list[TopicOut]:
            key = pack.documents(session).get_one(document_id).id
            return [TopicOut.model_validate(each.to_dict()) for each in pack.topics(session).of_document(key)]

        return await run(db, work)

    @routes.put(
        f"{base}/{{topic_id}}", status_code=204, dependencies=may("documents:update"), summary="Say what it is about"
    )
    async def assign(
        document_id: uuid.UUID, topic_id: uuid.UUID, given: RelevanceIn, db: AsyncTenantSession = writing
    ) -> None:
        def work(session: TenantSession) -> None:
            topics = TopicRepository(session)
            keys = pack.documents(session).get_one(document_id).id, topics.get_one(topic_id).id
            topics.assign(*keys, relevance=given.relevance)

        await run(db, work)

    @routes.delete(
        f"{base}/{{topic_id}}", status_code=204, dependencies=may("documents:update"), summary="Say it is not"
    )
    async def unassign(document_id: uuid.UUID, topic_id: uuid.UUID, db: AsyncTenantSession = writing) -> None:
        def work(session: TenantSession) -> None:
            TopicRepository(session).unassign(pack.documents(session).get_one(document_id).id, topic_id)

        await run(db, work)


def graph(routes: APIRouter, pack: Documents) -> None:
    """Adds the routes of the graph."""
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/graph/nodes", dependencies=may("graph:read"), summary="Points of the graph by label")
    async def list_nodes(
        limit: Limit = 50,
        offset: Offset = 0,
        document_id: uuid.UUID | None = None,
        db: AsyncTenantSession = reading,
    ) -> NodesOut:
        def work(session: TenantSession) -> dict[str, Any]:
            found = pack.nodes(session).query().order_by("label")
            return page(found if document_id is None else found.filter_by(document_id=document_id), limit, offset)

        return NodesOut.model_validate(await run(db, work))

    @routes.get("/graph/nodes/{node_id}/neighbours", dependencies=may("graph:read"), summary="One step away")
    async def neighbours(
        node_id: uuid.UUID,
        limit: Limit = 50,
        direction: Direction = Direction.BOTH,
        types: Types = None,
        db: AsyncTenantSession = reading,
    ) -> list[NodeOut]:
        def work(session: TenantSession) -> list[NodeOut]:
            nodes = pack.nodes(session)
            key = nodes.get_one(node_id).id
            return _nodes(nodes.neighbours(key, direction=direction, types=types or [], limit=limit))

        return await run(db, work)

    @routes.get("/graph/paths", dependencies=may("graph:read"), summary="The shortest ways between two points")
    async def paths(
        source: uuid.UUID,
        target: uuid.UUID,
        max_depth: Depth = 6,
        limit: Limit = 10,
        direction: Direction = Direction.BOTH,
        db: AsyncTenantSession = reading,
    ) -> list[list[NodeOut]]:
        def work(session: TenantSession) -> list[list[NodeOut]]:
            nodes = pack.nodes(session)
            ends = nodes.get_one(source).id, nodes.get_one(target).id
            ways = nodes.shortest_paths(*ends, max_depth=max_depth, direction=direction, limit=limit)
            return [_nodes(way) for way in ways]

        return await run(db, work)

    @routes.post("/graph/lines", status_code=201, dependencies=may("graph:create"), summary="Draw a line")
    async def connect(new: LineIn, db: AsyncTenantSession = writing) -> LineOut:
        def work(session: TenantSession) -> dict[str, Any]:
            documents = pack.documents(session)
            ends = (documents.get_one(new.source_document_id), documents.get_one(new.target_document_id))
            lines = GraphRelationshipRepository(session)
            made = lines.connect_documents(*ends, new.relationship_type, weight=new.weight, is_directed=new.is_directed)
            return made.to_dict()

        return LineOut.model_validate(await run(db, work))


def people(routes: APIRouter, pack: Documents) -> None:
    """Adds the routes of the organisation and its users."""
    reading, writing = reading_of(pack.tenancy), writing_of(pack.tenancy)

    @routes.get("/users", dependencies=may("users:read"), summary="The organisation's users by address")
    async def list_users(limit: Limit = 50, offset: Offset = 0, db: AsyncTenantSession = reading) -> UsersOut:
        found = await run(db, lambda s: page(UserRepository(s).query().order_by("email"), limit, offset))
        return UsersOut.model_validate(found)

    @routes.post("/users", status_code=201, dependencies=may("users:create"), summary="Add a user")
    async def create_user(new: UserIn, db: AsyncTenantSession = writing) -> UserOut:
        return UserOut.model_validate(await run(db, lambda s: UserRepository(s).create(new.model_dump()).to_dict()))

    @routes.put("/users/{user_id}/role", dependencies=may("users:update"), summary="Give a user another role")
    async def set_role(user_id: uuid.UUID, given: RoleIn, db: AsyncTenantSession = writing) -> UserOut:
        found = await run(db, lambda session: pack.editing.set_role(session, user_id, given.role).to_dict())
        return UserOut.model_validate(found)

    @routes.get("/organization", dependencies=may("organizations:read"), summary="The organisation itself")
    async def get_organization(db: AsyncTenantSession = reading) -> OrganizationOut:
        found = await run(db, lambda session: OrganizationRepository(session).one().to_dict())
        return OrganizationOut.model_validate(found)


def _nodes(found: list[GraphNode]) -> list[NodeOut]:
    return [NodeOut.model_validate(each.to_dict()) for each in found]
