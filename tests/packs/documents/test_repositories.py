"""The repositories of documents do what their names say, for one organisation, in every cell through every door."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantry import Tenancy
from tenantry.cache.memory import MemoryStore
from tenantry.errors import (
    InvalidDepth,
    InvalidPage,
    RecordNotFound,
    UnknownField,
    VersionConflict,
)
from tenantry.observe.metrics import METRICS
from tenantry.packs.documents import Document, DocumentRepository, Documents, DocumentsBase, Topic, User

from .cells import PLACES, Desk, Ground, Place


def titles(found: Any) -> list[str]:
    """Returns the titles, having made sure that all are this organisation's."""
    rows = [*found]
    assert {row.source_url for row in rows} <= {"acme", None}
    return [row.title for row in rows]


@pytest.fixture
def repository(desk: Desk) -> Any:
    return desk.repository("DocumentRepository")


@pytest.fixture
def keys(desk: Desk) -> dict[str, uuid.UUID]:
    """Returns the keys of the organisation's documents by title, its topics by name, and its user."""

    def work(session: Session) -> dict[str, uuid.UUID]:
        pairs = [*session.execute(select(Document.title, Document.id)), *session.execute(select(Topic.name, Topic.id))]
        return {**{row[0]: row[1] for row in pairs}, "ann": session.scalars(select(User.id)).one()}

    return desk.run(work)


@pytest.mark.ledger("S2-037", "S2-042", "S2-043")
def test_rows_are_made_found_changed_and_deleted(desk: Desk, repository: Any, keys: dict[str, uuid.UUID]) -> None:
    made = repository.create({"title": "New", "metadata": {"pages": 1}}, owner_id=keys["ann"])
    assert repository.get(made.id) is made
    assert repository.exists(title="New")
    assert repository.count() == 7
    assert repository.update(made.id, language="en").version == 1
    assert [row.title for row in repository.bulk_create([{"title": "A", "owner_id": keys["ann"]}])] == ["A"]
    repository.delete(made)
    assert repository.get(made.id) is None
    assert repository.restore(made.id).title == "New"
    with pytest.raises(UnknownField):
        repository.create(title="x", owner_id=keys["ann"], colour="red")
    with pytest.raises(RecordNotFound):
        repository.update(uuid.uuid4(), title="x")


@pytest.mark.ledger("S2-038")
def test_versions(desk: Desk, repository: Any, keys: dict[str, uuid.UUID]) -> None:
    key = keys["Charter"]
    assert [version.version_number for version in repository.get_versions(key)] == [1]
    repository.update(key, title="Charter 2", language="en")
    changed = repository.create_version(
        key,
        content="What we are for\nand why",
        metadata={"draft": 1},
        change_summary="Said why",
        changed_by=keys["ann"],
    )
    assert (changed.version, changed.title, changed.language) == (3, "Charter 2", "en")
    found = repository.get_versions(key)
    assert [version.version_number for version in found] == [3, 2, 1]
    assert (found[0].change_summary, found[0].changed_by, found[0].metadata) == ("Said why", keys["ann"], {"draft": 1})
    assert found[0].diff.splitlines()[-2:] == [" What we are for", "+and why"]
    assert [version.version_number for version in repository.get_versions(key, limit=1, offset=1)] == [2]
    assert repository.get_version(key, 1).title == "Charter"
    assert "+and why" in repository.compare_versions(key, 1, 3)
    back = repository.restore_version(key, 1)
    assert (back.version, back.title, back.content, back.metadata) == (4, "Charter", "What we are for", {})
    with pytest.raises(VersionConflict):
        repository.create_version(key, title="late", expected_version=3)
    with pytest.raises(UnknownField, match="content, metadata, title"):
        repository.create_version(key, status="published")
    with pytest.raises(RecordNotFound):
        repository.get_version(key, 9)


@pytest.mark.ledger("S2-030")
def test_a_document_made_without_the_repository_keeps_its_first_version_too(
    desk: Desk, repository: Any, keys: Any
) -> None:
    def work(session: Session) -> uuid.UUID:
        document = Document(title="Plain", content="old", owner_id=keys["ann"])
        session.add(document)
        session.flush()
        return document.id

    key = desk.run(work)
    repository.create_version(key, content="new")
    assert [(each.version_number, each.content) for each in repository.get_versions(key)] == [(2, "new"), (1, "old")]


@pytest.mark.ledger("S2-038", "S2-047")
def test_lists_by_organisation_owner_status_and_topic(desk: Desk, repository: Any, keys: dict[str, uuid.UUID]) -> None:
    own = desk.run(lambda session: session.info["tenant"].id)
    youngest_first = ["Island", "Annex", "Minutes", "Roadmap", "Budget", "Charter"]
    assert titles(repository.find_by_organization()) == titles(repository.find_by_organization(own)) == youngest_first
    assert repository.find_by_organization(uuid.uuid4()) == []
    assert titles(repository.find_by_organization(limit=2, offset=1)) == ["Annex", "Minutes"]
    assert titles(repository.find_by_owner(keys["ann"], limit=1)) == ["Island"]
    assert titles(repository.find_by_status("published")) == ["Budget", "Charter"]
    assert titles(repository.find_by_topic(keys["Money"])) == ["Budget", "Charter"]
    assert titles(repository.find_by_topic(keys["Money"], min_relevance=0.5)) == ["Budget"]
    assert titles(repository.find_by_topic(keys["Money"], limit=1, offset=1)) == ["Charter"]
    assert repository.find_by_topic(uuid.uuid4()) == []
    with pytest.raises(InvalidPage):
        repository.find_by_topic(keys["Money"], limit=-1)
    details = repository.get_with_details(keys["Budget"])
    assert ({topic.name for topic in details.topics}, details.owner.display_name) == ({"Money", "Plans"}, "acme")


@pytest.mark.ledger("S2-038", "S2-055")
def test_search_text_stands_for_itself(repository: Any) -> None:
    assert titles(repository.search("CHARTER")) == ["Roadmap", "Charter"]
    assert titles(repository.search("100%")) == ["Budget"]
    assert titles(repository.search("100_")) == []
    assert titles(repository.search("' OR 1=1 --")) == []
    assert titles(repository.search("charter", limit=1, offset=1)) == ["Charter"]


@pytest.mark.ledger("S2-032", "S2-035", "S2-037")
def test_topics(desk: Desk, keys: dict[str, uuid.UUID]) -> None:
    topics = desk.repository("TopicRepository")
    assert topics.get_by_name("Money").id == keys["Money"]
    assert [topic.name for topic in topics.of_document(keys["Budget"])] == ["Money", "Plans"]
    assert topics.assign(keys["Budget"], keys["Plans"], relevance=1.0).relevance_score == 1.0
    assert [topic.name for topic in topics.of_document(keys["Budget"])] == ["Plans", "Money"]
    topics.unassign(keys["Budget"], keys["Money"])
    assert [(each.name, each.documents) for each in topics.most_used()] == [("Plans", 2), ("Money", 1)]
    with pytest.raises(RecordNotFound):
        topics.unassign(keys["Budget"], keys["Money"])


@pytest.mark.ledger("S2-027", "S2-028", "S2-031", "S2-037")
def test_users_the_organisation_and_summaries(desk: Desk, keys: dict[str, uuid.UUID]) -> None:
    users, summaries = desk.repository("UserRepository"), desk.repository("SummaryRepository")
    assert desk.repository("OrganizationRepository").get_own().name == "acme"
    assert users.get_by_email(" ANN@acme.example").id == keys["ann"]
    assert users.get_by_email("ann@rival.example") is None
    assert [user.email for user in users.active()] == ["ann@acme.example"]
    for text, kind in (("one", "brief"), ("two", "brief"), ("three", "detailed")):
        summaries.create(document_id=keys["Charter"], summary_text=text, summary_type=kind)
    assert [row.summary_text for row in summaries.of_document(keys["Charter"])] == ["three", "two", "one"]
    assert summaries.latest(keys["Charter"]).summary_text == "two"
    assert summaries.latest(keys["Budget"]) is None
    assert desk.repository("DocumentVersionRepository").latest(keys["Charter"]).version_number == 1
    with pytest.raises(RecordNotFound):
        desk.repository("DocumentVersionRepository").latest(uuid.uuid4())


@pytest.mark.ledger("S2-038")
def test_related_documents_the_nearest_first(repository: Any, keys: dict[str, uuid.UUID]) -> None:
    def related(title: str, *args: Any, **options: Any) -> set[str]:
        return set(titles(repository.find_related(keys[title], *args, **options)))

    assert related("Charter") == {"Budget", "Roadmap"}
    assert titles(repository.find_related(keys["Charter"], 3))[2:] == ["Minutes", "Annex"]
    assert related("Charter", max_depth=16) == {"Budget", "Roadmap", "Minutes", "Annex"}
    assert related("Charter", max_depth=2, direction="out") == {"Budget", "Roadmap", "Minutes"}
    assert related("Annex", max_depth=1, direction="out") == set()
    assert related("Annex", max_depth=2, direction="in") == {"Minutes", "Budget", "Roadmap"}
    assert related("Budget", types=["replaces"]) == {"Minutes"}
    assert len(repository.find_related(keys["Charter"], max_depth=4, limit=2)) == 2
    assert related("Island", max_depth=4) == related("Island") == set()
    assert repository.find_related(uuid.uuid4(), 3) == []
    for depth in (0, 17, True, "2"):
        with pytest.raises(InvalidDepth):
            repository.find_related(keys["Charter"], depth)


@pytest.mark.ledger("S2-038")
def test_what_is_deleted_is_related_to_nothing(repository: Any, keys: dict[str, uuid.UUID]) -> None:
    repository.delete(keys["Budget"])
    assert "Budget" not in titles(repository.find_related(keys["Charter"], 2))
    assert titles(repository.find_by_topic(keys["Money"])) == ["Charter"]


@pytest.mark.ledger("S2-033", "S2-034", "S2-038")
def test_the_ways_of_the_graph(desk: Desk, keys: dict[str, uuid.UUID]) -> None:
    nodes = desk.repository("GraphNodeRepository")
    at = {title: nodes.of_document(keys[title])[0].id for title in ("Charter", "Budget", "Minutes", "Annex")}

    def ways(*ends: str, **options: Any) -> list[str]:
        found = nodes.shortest_paths(at[ends[0]], at[ends[1]], **options)
        return [" ".join(node.label for node in way) for way in found]

    assert [node.label for node in nodes.neighbours(at["Charter"])] == ["Budget", "Roadmap"]
    assert [node.label for node in nodes.neighbours(at["Charter"], direction="out")] == ["Budget"]
    assert [node.label for node in nodes.neighbours(at["Budget"], types=["replaces"])] == ["Minutes"]
    nearest = nodes.within_reach(at["Annex"], max_depth=2, limit=1)
    assert [(each.node.label, each.depth) for each in nearest] == [("Minutes", 1)]
    assert {each.node.label for each in nodes.within_reach(at["Annex"], max_depth=3)} == {
        "Minutes", "Budget", "Roadmap", "Charter",
    }  # fmt: skip
    assert sorted(ways("Charter", "Annex")) == ["Charter Budget Minutes Annex", "Charter Roadmap Minutes Annex"]
    assert ways("Charter", "Annex", direction="out") == ["Charter Budget Minutes Annex"]
    assert ways("Charter", "Annex", max_depth=2) == ways("Annex", "Charter", direction="out") == []
    assert ways("Charter", "Charter") == ["Charter"]
    assert len(ways("Charter", "Annex", limit=1)) == 1
    assert nodes.shortest_path(at["Annex"], at["Charter"], direction="out") is None
    nodes.update(at["Minutes"], is_active=False)
    assert ways("Charter", "Annex") == []
    assert "Minutes" not in {node.label for node in nodes.neighbours(at["Budget"])}


@pytest.mark.ledger("S2-034")
def test_lines_are_drawn_once_and_lead_both_ways_where_they_are_not_directed(desk: Desk, keys: Any) -> None:
    lines, nodes = desk.repository("GraphRelationshipRepository"), desk.repository("GraphNodeRepository")
    island, charter = (desk.repository("DocumentRepository").get(keys[title]) for title in ("Island", "Charter"))
    first = lines.connect_documents(island, charter, "cites", weight=2.0, is_directed=False)
    again = lines.connect_documents(island, charter, "cites", weight=3.0)
    assert (again.id, again.weight, again.is_directed) == (first.id, 3.0, False)
    assert [line.id for line in lines.of_node(first.source_node_id)] == [first.id]
    for node in (first.source_node_id, first.target_node_id):
        for direction in ("in", "out"):
            assert {"Island", "Charter"} & {each.label for each in nodes.neighbours(node, direction=direction)}


@pytest.mark.ledger("S2-040", "S2-044")
@pytest.mark.parametrize("place", [place for place in PLACES if place.cell.endswith(("rows", "file"))], ids=str)
def test_dear_reads_are_kept_until_a_commit_changes_them(ground: Ground, place: Place) -> None:
    pack, slug = ground.pack(place), f"acme-{place.cell}"
    cache = pack.cache
    assert cache is not None
    tenant = pack.tenancy.tenants.get(slug)
    with ground.session(place) as desk:
        keys = desk.run(lambda session: {row.title: row.id for row in session.scalars(select(Document))})

    def related() -> set[str]:
        with ground.session(place) as desk:
            repository = desk.repository("DocumentRepository", cache=cache)
            return set(titles(repository.find_related(keys["Annex"])))

    cache.clear(slug)
    assert related() == {"Minutes"}
    before = cache.stats(tenant).hits
    assert related() == {"Minutes"}
    assert cache.stats(tenant).hits == before + 1
    with ground.session(place) as desk:
        nodes = desk.repository("GraphNodeRepository")
        ends = [nodes.of_document(keys[title])[0].id for title in ("Annex", "Charter")]
        line = desk.repository("GraphRelationshipRepository").connect(*ends, "cites")
        desk.commit()
    assert related() == {"Minutes", "Charter"}
    with ground.session(place) as desk:
        desk.repository("GraphRelationshipRepository").delete(line.id)
        desk.commit()
    assert related() == {"Minutes"}


class Noting(MemoryStore):
    """A store that notes for how long each result is to be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, float] = {}

    def fill(self, entry: Any, look: Any, value: bytes, *, ttl: float) -> bool:
        self.times[entry.place] = ttl
        return super().fill(entry, look, value, ttl=ttl)


@pytest.mark.ledger("S2-044")
def test_each_method_says_how_long_its_results_are_kept(tmp_path: Path) -> None:
    class Shortly(DocumentRepository):
        ttls: ClassVar[dict[str, float]] = {"find_by_topic": 5.0}

    store, tenancy = Noting(), Tenancy(f"sqlite:///{tmp_path}/data", models=DocumentsBase)
    pack = Documents(tenancy, store=store)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme", record={"name": "Acme"})
    for repository in (DocumentRepository, Shortly):
        with tenancy.session("acme") as session:
            repository(session, cache=pack.cache).find_by_topic(uuid.uuid4())
        with tenancy.session("acme") as session:
            repository(session, cache=pack.cache).find_related(uuid.uuid4())
    assert list(store.times.values()) == [300.0, 900.0, 5.0, 300.0]
    tenancy.close()


@pytest.mark.ledger("S2-041")
def test_calls_are_counted_by_tenant(ground: Ground) -> None:
    place = Place("sqlite-file", "sync")
    name = "tenantry.packs.documents.repositories.DocumentRepository.find_related"

    def counted() -> int:
        found = METRICS.snapshot().calls.get((name, "acme-sqlite-file"))
        return 0 if found is None else found.done

    before = counted()
    with ground.session(place) as desk:
        desk.repository("DocumentRepository").find_related(uuid.uuid4())
    assert counted() == before + 1


@pytest.mark.ledger("S2-082")
@pytest.mark.parametrize("cell", ["postgresql-rows", "sqlite-file", "sqlite-rows"])
def test_writers_at_once_make_one_version_each(ground: Ground, cell: str) -> None:
    pack, slug = ground.pack(Place(cell, "sync")), f"acme-{cell}"
    with pack.tenancy.transaction(slug) as session:
        owner = session.scalars(select(User)).one()
        key = pack.documents(session).create(title="Crowded", owner_id=owner.id).id

    def write(number: int) -> None:
        with pack.tenancy.transaction(slug) as session:
            pack.documents(session).create_version(key, content=f"by {number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with pack.tenancy.transaction(slug) as session:
        found = pack.documents(session).get_versions(key)
        assert [version.version_number for version in found] == [5, 4, 3, 2, 1]
        assert {version.content for version in found[:-1]} == {f"by {number}" for number in range(4)}
        pack.documents(session).delete(key)
