"""The tables of documents: defaults, references and constraints, alike in every cell."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import AppendOnlyViolation, CrossTenant, IllegalStep
from tenantry.models import UTCDateTime, lint
from tenantry.packs import documents
from tenantry.packs.documents import (
    PROCESSING,
    Document,
    DocumentsBase,
    DocumentTopic,
    DocumentVersion,
    GraphNode,
    GraphRelationship,
    Organization,
    Summary,
    Topic,
    User,
)

from .cells import CELLS, Desk, Ground, Place

MODELS = {
    "organizations": Organization,
    "users": User,
    "documents": Document,
    "document_versions": DocumentVersion,
    "summaries": Summary,
    "topics": Topic,
    "document_topics": DocumentTopic,
    "graph_nodes": GraphNode,
    "graph_relationships": GraphRelationship,
}
# What the requirements name, and whether it may be missing.
COLUMNS = {
    "organizations": "id name created_at updated_at settings plan is_active slug? domain? deleted_at?",
    "users": "id email role is_active created_at updated_at username? display_name? last_login_at? deleted_at?",
    "documents": (
        "id owner_id version metadata title status content_type created_at updated_at content? source_url? file_path? "
        "file_size? content_hash? word_count? language? deleted_at?"
    ),
    "document_versions": (
        "id document_id version_number metadata created_at title? content? change_summary? diff? changed_by? "
        "content_hash?"
    ),
    "summaries": (
        "id document_id summary_text summary_type prompt_tokens completion_tokens created_at updated_at "
        "document_version? tool_name? agent_name? model? language? confidence?"
    ),
    "topics": "id name keywords created_at updated_at description? parent_topic_id? extraction_method?",
    "document_topics": "id document_id topic_id relevance_score extracted_at created_at updated_at",
    "graph_nodes": "id node_type label properties is_active created_at updated_at document_id? external_id?",
    "graph_relationships": (
        "id source_node_id target_node_id relationship_type weight is_directed properties created_at updated_at "
        "confidence?"
    ),
}


@pytest.fixture(params=CELLS)
def place(request: pytest.FixtureRequest) -> Place:
    """Each cell once: a table is the same through every door."""
    return Place(request.param, "sync")


def table(name: str) -> Any:
    return DocumentsBase.metadata.tables[name]


def first(session: Session, model: Any, **by: Any) -> Any:
    return session.scalars(select(model).filter_by(**by).order_by(model.id)).first()


def write(session: Session, made: Callable[[Session], Any]) -> None:
    session.add(made(session))
    session.flush()


def indexed(name: str) -> set[tuple[str, ...]]:
    """Returns what each b-tree of a table begins with, after the tenant."""
    own = table(name)
    lists = [*(index.columns for index in own.indexes), *(each.columns for each in own.constraints)]
    return {tuple(column.name for column in columns if column.name != "tenant_id") for columns in lists}


@pytest.mark.ledger("S2-001")
def test_the_linter_finds_nothing() -> None:
    assert lint(DocumentsBase.metadata) == []


@pytest.mark.ledger("S2-026", "S2-056", "S2-025")
@pytest.mark.parametrize("name", COLUMNS)
def test_each_table_has_the_columns_that_were_asked_for(name: str) -> None:
    wanted = {word.rstrip("?"): word.endswith("?") for word in COLUMNS[name].split()}
    columns = table(name).c
    assert {column.name: column.nullable for column in columns if column.name in wanted} == wanted
    assert inspect(MODELS[name]).local_table is table(name)
    assert columns.id.type.python_type is uuid.UUID
    assert isinstance(columns.created_at.type, UTCDateTime)
    assert MODELS[name] is getattr(documents, MODELS[name].__name__)


@pytest.mark.ledger("S2-M01.1", "S2-M01.2", "S2-M01.3", "S2-M02.1", "S2-M02.2")
def test_organisations_and_users(desk: Desk) -> None:
    def work(session: Session) -> None:
        organization = session.scalars(select(Organization)).one()
        assert (organization.id, organization.name) == (session.info["tenant"].id, "acme")
        assert (organization.plan, organization.settings, organization.is_active) == ("free", {}, True)
        user = User(email="  Bob@Example.COM ", organization=organization)
        session.add(user)
        session.flush()
        assert (user.email, user.role, user.is_active) == ("bob@example.com", "member", True)
        assert user.org_id == user.tenant_id == organization.id
        assert session.scalars(select(User).where(User.org_id == organization.id, User.email.startswith("bob"))).one()
        session.add(User(email="BOB@example.com"))
        with pytest.raises(IntegrityError):
            session.flush()

    desk.run(work)
    assert ("email",) in indexed("users")


@pytest.mark.ledger("S2-M03.1", "S2-M03.2", "S2-029")
def test_documents(desk: Desk) -> None:
    def work(session: Session) -> None:
        owner = first(session, User)
        made = Document(title="New", content="three small words", owner=owner, metadata={"pages": 3})
        session.add(made)
        session.flush()
        assert (made.version, made.status, made.content_type) == (1, "draft", "text/plain")
        assert (made.word_count, len(made.content_hash)) == (3, 64)
        made.metadata["pages"] = 4
        session.flush()
        session.expire(made)
        assert made.metadata == made.doc_metadata == {"pages": 4}
        assert made.to_dict()["metadata"] == {"pages": 4}
        assert "doc_metadata" not in made.to_dict(exclude=["title"])

    desk.run(work)
    assert {("created_at",), ("owner_id",), ("status",), ("content_hash",), ("metadata",)} <= indexed("documents")
    (gin,) = [index for index in table("documents").indexes if index.name == "ix_documents_metadata"]
    assert gin.dialect_options["postgresql"]["using"] == "gin"


@pytest.mark.ledger("S2-M04.1", "S2-030")
def test_versions_are_added_and_never_change(desk: Desk) -> None:
    def work(session: Session) -> None:
        version = first(session, DocumentVersion)
        version.title = "forged"
        with pytest.raises(AppendOnlyViolation):
            session.flush()
        session.rollback()
        with pytest.raises(DBAPIError):
            session.execute(text("UPDATE document_versions SET title = 'forged'"))
        session.rollback()
        with pytest.raises(DBAPIError):
            session.execute(text("DELETE FROM document_versions"))

    desk.run(work)
    assert ("document_id", "version_number") in indexed("document_versions")


@pytest.mark.ledger("S2-M05.1", "S2-M06.1", "S2-031", "S2-032")
def test_summaries_and_topics(desk: Desk) -> None:
    def work(session: Session) -> None:
        document = first(session, Document, title="Charter")
        summary = Summary(document=document, summary_text="Why", tool_name="tool", agent_name="agent", confidence=0.5)
        above = Topic(name="Above")
        session.add_all([summary, Topic(name="Below", parent=above, keywords=["one"])])
        session.flush()
        assert (summary.summary_type, summary.prompt_tokens, summary.completion_tokens) == ("brief", 0, 0)
        assert [child.name for child in above.children] == ["Below"]
        session.delete(above)
        session.flush()
        session.expire_all()
        assert first(session, Topic, name="Below").parent_topic_id is None
        session.delete(document.versions and first(session, Topic, name="Money"))
        session.flush()
        assert first(session, DocumentTopic, document_id=document.id) is None

    desk.run(work)
    assert ("document_id", "summary_type") in indexed("summaries")
    assert ("name",) in indexed("topics")


@pytest.mark.ledger("S2-M07.1", "S2-M08.1", "S2-M09.1", "S2-033", "S2-034")
def test_links_nodes_and_relationships(desk: Desk) -> None:
    def work(session: Session) -> None:
        link, line = first(session, DocumentTopic), first(session, GraphRelationship)
        assert link.extracted_at.utcoffset() == datetime.timedelta(0)
        assert (line.weight, line.is_directed, line.properties, line.confidence) == (1.0, True, {}, None)
        node = line.source
        assert (node.node_type, node.properties, node.is_active) == ("document", {}, True)
        assert line in node.outgoing
        assert line in line.target.incoming
        ends = line.id
        session.delete(node)
        session.flush()
        assert session.get(GraphRelationship, ends) is None

    desk.run(work)
    assert {("document_id", "topic_id"), ("topic_id",)} <= indexed("document_topics")
    assert {("node_type",), ("document_id",)} <= indexed("graph_nodes")
    assert {("source_node_id", "target_node_id", "relationship_type"), ("target_node_id",)} <= indexed(
        "graph_relationships"
    )


@pytest.mark.ledger("S2-027", "S2-028", "S2-035")
@pytest.mark.parametrize(
    "made",
    [
        lambda session: Document(title="x", owner_id=uuid.uuid4()),
        lambda session: Document(title=None, owner=first(session, User)),
        lambda session: Document(title="x", owner=first(session, User), version=0),
        lambda session: Document(title="x", owner=first(session, User), status="lost"),
        lambda session: User(email="x@example.com", role="king"),
        lambda session: DocumentVersion(document=first(session, Document), version_number=1),
        lambda session: DocumentVersion(document=first(session, Document), version_number=0),
        lambda session: Summary(document=first(session, Document), summary_text="x", confidence=1.5),
        lambda session: Summary(document=first(session, Document), summary_text="x", summary_type="epic"),
        lambda session: Summary(document=first(session, Document), summary_text="x", prompt_tokens=-1),
        lambda session: Topic(name="Money"),
        lambda session: DocumentTopic(
            document=first(session, Document, title="Island"), topic=first(session, Topic), relevance_score=2
        ),
        lambda session: GraphRelationship(
            source=first(session, GraphNode), target=first(session, GraphNode), relationship_type="self"
        ),
        lambda session: GraphRelationship(
            source_node_id=first(session, GraphRelationship).source_node_id,
            target_node_id=first(session, GraphRelationship).target_node_id,
            relationship_type="requires",
        ),
    ],
    ids=[
        "an owner that is not there",
        "no title",
        "a version below one",
        "no such status",
        "no such role",
        "a version number twice",
        "a version number below one",
        "more than certain",
        "no such summary",
        "fewer tokens than none",
        "a topic twice",
        "more than relevant",
        "a line to itself",
        "a line twice",
    ],
)
def test_what_no_row_may_hold(ground: Ground, made: Callable[[Session], Any]) -> None:
    for cell in ("postgresql-rows", "sqlite-rows", "sqlite-file"):
        with ground.session(Place(cell, "sync")) as desk:
            session = desk.session
            with pytest.raises((IntegrityError, IllegalStep)):
                write(session, made)


@pytest.mark.ledger("S2-036")
def test_every_row_belongs_to_an_organisation(ground: Ground) -> None:
    """The key to it is the tenant's own; a tenant without an organisation keeps no users and no documents."""
    for cell in ("postgresql-rows", "sqlite-file"):
        tenancy = ground.tenancy(Place(cell, "sync"))
        tenancy.tenants.create(f"bare-{cell}", isolation="rows" if cell.startswith("p") else "database")
        with tenancy.session(f"bare-{cell}") as session:
            session.add(User(email="x@example.com"))
            with pytest.raises(IntegrityError):
                session.flush()
        tenancy.tenants.erase(f"bare-{cell}", confirm=f"bare-{cell}")
    for name in ("users", "documents", "topics", "graph_nodes"):
        targets = {key.target_fullname for key in table(name).c.tenant_id.foreign_keys}
        assert "organizations.tenant_id" in targets
        assert not table(name).c.tenant_id.nullable


@pytest.mark.ledger("S2-001")
def test_rows_as_dictionaries_are_json(desk: Desk) -> None:
    def work(session: Session) -> None:
        for model in MODELS.values():
            row = first(session, model)
            if row is not None:
                assert json.loads(json.dumps(row.to_dict()))["tenant_id"] == str(session.info["tenant"].id)

    desk.run(work)


@pytest.mark.ledger("S2-050")
def test_the_neighbour_has_the_same_titles_and_its_own_rows(ground: Ground, desk: Desk) -> None:
    with ground.session(desk.place, "rival") as rival:
        theirs = rival.run(lambda session: session.scalars(select(Document).order_by(Document.title)).all())

    def work(session: Session) -> None:
        mine = session.scalars(select(Document).order_by(Document.title)).all()
        assert [row.title for row in mine] == [row.title for row in theirs]
        assert {row.source_url for row in mine} == {"acme"}
        assert session.get(Document, theirs[0].id) is None
        with pytest.raises(CrossTenant):
            session.add(theirs[0])
        with pytest.raises(CrossTenant):
            session.add(Document(title="x", owner=first(session, User), org_id=theirs[0].org_id))

    desk.run(work)


@pytest.mark.ledger("S2-001")
def test_a_document_goes_its_way_and_no_other() -> None:
    assert PROCESSING.after("draft") == ["archived", "processing"]
    assert PROCESSING.after("processing") == ["draft", "published"]
    assert PROCESSING.after("published") == ["archived", "processing"]
    assert PROCESSING.after("archived") == []
    document = Document(title="x", status="archived")
    with pytest.raises(IllegalStep):
        document.status = "draft"
