"""The suite for APIs finds nothing in the API of the documents, whose vectors follow their rows while it looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.access import Tokens
from tenantry.cache.memory import MemoryStore
from tenantry.outbox import Relay
from tenantry.packs.documents import (
    ROLES,
    DocumentRepository,
    Documents,
    DocumentsBase,
    GraphRelationshipRepository,
    UserRepository,
    router,
)
from tenantry.testing.apps import Caller
from tenantry.web import application

from .serving import ENGINES, SIDES, Relayed, caller, found, installed, new_slug, new_tokens

pytestmark = pytest.mark.soak

MAIL = "ann@example.org"
FOUND = {"version": 1, "summary": "{mark}", "topics": {"{mark}": 1}}


class Letters:
    """Counts letters, so that texts of like words are near."""

    dimensions = 26
    model = "letters"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[text.count(chr(97 + place)) + 0.01 for place in range(26)] for text in texts]


@pytest.fixture(params=ENGINES)
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[tuple[Any, list[Caller]]]:
    tables = set(DocumentsBase.metadata.tables)
    tenancy = Tenancy("postgresql://app@production.invalid/documents", models=DocumentsBase)
    pack = Documents(tenancy, store=MemoryStore(max_bytes=1_000_000), embedder=Letters())
    tokens = new_tokens(ROLES, "documents")
    with installed(request.param, tenancy, postgres, tmp_path):
        callers = [_caller(tenancy, tokens, new_slug(side)) for side in SIDES]
        app = application(tenancy, [router(pack)], tokens=tokens, title="Documents")
        yield Relayed(app, Relay(pack.similarity.outbox)), callers
    # Other tests compare the pack's tables with its history.
    for name in set(DocumentsBase.metadata.tables) - tables:
        DocumentsBase.metadata.remove(DocumentsBase.metadata.tables[name])


def _caller(tenancy: Tenancy, tokens: Tokens, slug: str) -> Caller:
    made = tenancy.tenants.create(slug, record={"name": slug, "slug": slug})
    with tenancy.transaction(made) as session:
        owner = UserRepository(session).create(email=MAIL)
        documents = DocumentRepository(session)
        first, second = (documents.create(title=f"{word} of {slug}", owner_id=owner.id) for word in ("Charter", "Plan"))
        line = GraphRelationshipRepository(session).connect_documents(first, second, "requires")
        ends = {"source_document_id": str(first.id), "target_document_id": str(second.id)}
        ids = {"source": [str(line.source_node_id)], "target": [str(line.target_node_id)], "number": ["1"]}
    bodies = {
        "POST /api/documents/{document_id}/publication": FOUND,
        "POST /api/graph/lines": {**ends, "relationship_type": "{mark}"},
    }
    return caller(tokens, made, "admin", subject=MAIL, ids=ids, bodies=bodies)


def test_nothing_is_found_in_the_documents(served: tuple[Any, list[Caller]]) -> None:
    assert found(*served) == ""
