"""Sample documents: the same each time, loaded once, and real ones where there are some."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tenantry import Tenancy
from tenantry.packs.documents import (
    Document,
    DocumentRepository,
    Documents,
    DocumentsBase,
    DocumentVersion,
    GraphNode,
    GraphNodeRepository,
    samples,
)
from tenantry.samples import load, load_all

DATA = Path(os.environ.get("TENANTRY_TEST_DATA") or "no such directory") / "documents"


@pytest.fixture
def tenancy(tmp_path: Path) -> Any:
    made = Tenancy(f"sqlite:///{tmp_path}/data", models=DocumentsBase)
    Documents(made)
    made.install(create_tables=True)
    yield made
    made.close()


@pytest.mark.ledger("S2-012", "S2-069")
def test_generated_ones_are_the_same_each_time_and_loaded_once(tenancy: Tenancy) -> None:
    found = samples.generated(tenants=2, rows=12)
    assert found == samples.generated(tenants=2, rows=12)
    assert [sample.slug for sample in found] == ["alder-letters", "birch-law-firm"]
    told: list[int] = []
    assert load(tenancy, found[0], told=told.append) == found[0].size == sum(told)
    assert load(tenancy, found[0]) == 0
    assert tenancy.tenants.get(("organization", "Alder Letters")).slug == "alder-letters"
    with tenancy.session("alder-letters") as session:
        documents = DocumentRepository(session)
        assert documents.count() == 12
        related = [documents.find_related(each.id, 3) for each in documents.list()]
        assert any(related)
        assert_whole(session)


@pytest.mark.ledger("S2-012")
def test_where_there_are_no_files_there_are_none(tmp_path: Path) -> None:
    assert samples.read(tmp_path) == []


PROPOSALS = (
    # number, author, topic, requires, replaces, whether it says that it is free
    (1, "Ann Lee <ann@example.com>, Bob", None, None, None, True),
    (2, "Ann Lee", "Packaging", None, None, True),
    (3, "", "Packaging, Typing", "2", "1, 4", True),
    (4, "Bob", "Packaging", None, None, False),
)


def write_files(directory: Path) -> Path:
    """Writes a few lines as the real files have them."""
    proposals = [
        {
            "number": number,
            "title": f"Proposal {number}",
            "author": author,
            "status": "Final" if number < 3 else "Rejected",
            "type": "Process",
            "topic": topic,
            "created": "13-Jun-2000" if number < 3 else "soon",
            "requires": requires,
            "replaces": replaces,
            "body": f"\nText {number}\n{'This is in the Public Domain.' if free else ''}\n",
        }
        for number, author, topic, requires, replaces, free in PROPOSALS
    ]
    speeches = [
        {
            "collection": "inaugural",
            "year": year,
            "author": who,
            "name": f"{year}-{who}",
            "text": "Fellow\n \n citizens",
        }
        for year, who in ((1789, "Washington"), (1793, "Washington"), (1797, "Adams"))
    ]
    for name, lines in (("peps", proposals), ("us_speeches", speeches)):
        with gzip.open(directory / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(line)}\n" for line in lines)
    return directory


@pytest.mark.ledger("S2-012")
def test_what_the_files_say(tenancy: Tenancy, tmp_path: Path) -> None:
    found = samples.read(write_files(tmp_path))
    assert [sample.slug for sample in found] == ["peps-core", "peps-packaging", "us-speeches"]
    assert load_all(tenancy, found) == sum(sample.size for sample in found)
    assert load_all(tenancy, found) == 0
    with tenancy.session("peps-packaging") as session:
        documents, nodes = DocumentRepository(session), GraphNodeRepository(session)
        second, third = documents.list(order_by="title")
        assert (second.status, third.status, third.metadata["status"]) == ("published", "archived", "Rejected")
        assert (second.created_at.year, second.owner.email) == (2000, "ann.lee@peps-packaging.example")
        assert documents.find_related(third.id, types=["requires"]) == [second]
        (own,) = nodes.of_document(third.id)
        # Those that are elsewhere, or say nothing of being free, are points without a document.
        assert [node.label for node in nodes.neighbours(own.id, types=["replaces"])] == ["pep-1", "pep-4"]
        assert_whole(session)
    with tenancy.session("us-speeches") as session:
        documents = DocumentRepository(session)
        assert [each.content for each in documents.list()] == ["Fellow\n\ncitizens"] * 3
        adams = documents.one(title="Adams, inaugural 1797")
        assert [each.title for each in documents.find_related(adams.id)] == ["Washington, inaugural 1793"]
        assert_whole(session)


@pytest.mark.ledger("S2-012")
def test_real_ones_where_there_are_some() -> None:
    found = samples.read(DATA) if DATA.is_dir() else []
    proposals = [sample for sample in found if sample.slug.startswith("peps-")]
    assert sum(len(sample.rows[Document]) for sample in proposals) == (703 if found else 0)
    assert [len(sample.rows[Document]) for sample in found if sample not in proposals] == ([124] if found else [])


def assert_whole(session: Any) -> None:
    """Says that each document has all its versions, the last of which it holds, and a node."""
    counts = select(DocumentVersion.document_id, func.count()).group_by(DocumentVersion.document_id)
    versions = {row[0]: row[1] for row in session.execute(counts)}
    nodes = set(session.scalars(select(GraphNode.document_id)))
    for document in session.scalars(select(Document)):
        assert versions[document.id] == document.version
        assert document.id in nodes
        assert document.word_count == len(document.content.split())
