"""Documents found by what they mean: inside one organisation, as they are now, and over HTTP."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tenantry import Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.errors import RecordNotFound
from tenantry.outbox import Relay
from tenantry.packs.documents import (
    ROLES,
    Document,
    DocumentRepository,
    Documents,
    DocumentsBase,
    UserRepository,
    router,
)
from tenantry.web import application

TITLES = ("sales in spring", "sales in summer", "quiz")
SIDES = ("acme", "rival")


class Letters:
    """Counts letters, so that texts of like words are near."""

    dimensions = 26
    model = "letters"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[text.count(chr(97 + place)) + 0.01 for place in range(26)] for text in texts]


@pytest.fixture(scope="module", params=["postgresql-rows", "postgresql-schema", "sqlite-file"])
def pack(
    request: pytest.FixtureRequest, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Documents]:
    database, _, isolation = request.param.partition("-")
    url = module_database if database == "postgresql" else f"sqlite:///{tmp_path_factory.mktemp('library')}"
    tables = set(DocumentsBase.metadata.tables)
    tenancy = Tenancy(url, models=DocumentsBase)
    made = Documents(tenancy, embedder=Letters())
    tenancy.install(create_tables=True)
    for side in SIDES:
        own = tenancy.tenants.create(
            f"{side}-{request.param}",
            isolation="database" if isolation == "file" else isolation,
            record={"name": f"{side}-{request.param}"},
        )
        with tenancy.transaction(own) as db:
            owner = UserRepository(db).create(email="ann@example.org")
            for title in TITLES:
                DocumentRepository(db).create(title=title, content=f"{title} of {side}", owner_id=owner.id)
    Relay(made.similarity.outbox).sweep()
    made.sides = {side: f"{side}-{request.param}" for side in SIDES}
    yield made
    tenancy.close()
    # Other tests compare the pack's tables with its history.
    for name in set(DocumentsBase.metadata.tables) - tables:
        DocumentsBase.metadata.remove(DocumentsBase.metadata.tables[name])


def key_of(pack: Any, title: str, side: str = "acme") -> uuid.UUID:
    with pack.tenancy.session(pack.sides[side], read_only=True) as db:
        return DocumentRepository(db).find(title=title).id


def titles(found: Any) -> list[str]:
    return [each.document.title for each in found]


@pytest.mark.ledger("S2-038")
def test_the_nearest_of_the_same_organisation_are_found(pack: Any) -> None:
    found = pack.similarity.like(pack.sides["acme"], key_of(pack, "sales in spring"))
    assert titles(found) == ["sales in summer", "quiz"]
    assert found[0].score > found[1].score
    assert all("of acme" in each.document.content for each in found)
    assert titles(pack.similarity.about(pack.sides["rival"], "quiz", limit=1)) == ["quiz"]


@pytest.mark.ledger("S2-038")
def test_a_neighbours_document_is_not_there(pack: Any) -> None:
    for key in (key_of(pack, "quiz", "rival"), uuid.uuid4()):
        with pytest.raises(RecordNotFound):
            pack.similarity.like(pack.sides["acme"], key)


@pytest.mark.ledger("S2-038")
def test_what_is_hidden_is_not_found(pack: Any) -> None:
    side = pack.sides["rival"]
    with pack.tenancy.transaction(side) as db:
        db.get_one(Document, key_of(pack, "sales in summer", "rival")).soft_delete()
    # Before the relay has come by, and after.
    for _ in range(2):
        assert "sales in summer" not in titles(pack.similarity.about(side, "sales in summer"))
        Relay(pack.similarity.outbox).sweep()


@pytest.mark.ledger("S2-038")
def test_over_http(pack: Any) -> None:
    key = TokenKey("test", secrets.token_bytes(32))
    tokens = Tokens([key], issuer="https://id.example", audience="documents", roles=ROLES)
    client = TestClient(application(pack.tenancy, [router(pack)], tokens=tokens, title="Documents"))

    def ask(document: uuid.UUID, side: str) -> Any:
        tenant = pack.tenancy.tenants.get(pack.sides[side]).id
        token = tokens.issue("ann@example.org", tenant=tenant, roles=["viewer"])
        return client.get(f"/api/documents/{document}/similar?limit=1", headers={"Authorization": f"Bearer {token}"})

    wanted = key_of(pack, "sales in spring")
    assert [each["title"] for each in ask(wanted, "acme").json()["items"]] == ["sales in summer"]
    foreign, missing = ask(wanted, "rival"), ask(uuid.uuid4(), "rival")
    assert foreign.status_code == missing.status_code == 404
    assert {**foreign.json(), "instance": ""} == {**missing.json(), "instance": ""}
