"""The documents' routes over HTTP: what they answer, to whom, and that nobody gets another organisation's."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tenantry.access import TokenKey, Tokens
from tenantry.packs.documents import GraphRelationshipRepository, UserRepository
from tenantry.packs.documents.http import router
from tenantry.packs.documents.permissions import ROLES
from tenantry.web.applications import application

from .cells import Ground, Place

CELLS = ("postgresql-schema", "sqlite-file")
# Deeper than whatever reads it goes, and not too deep for what parses it.
DEEP: dict[str, Any] = functools.reduce(lambda inner, _: {"a": inner}, range(500), {})


class Client:
    """Somebody with a token."""

    def __init__(self, http: TestClient, token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        answer = self._http.request(method, f"/api{path}", headers=self._headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def raw(self, method: str, path: str) -> bytes:
        return self._http.request(method, f"/api{path}", headers=self._headers).content


class Office:
    """An application in one cell, and tokens of both organisations' people."""

    def __init__(self, ground: Ground, cell: str) -> None:
        self.pack = ground.pack(Place(cell, "sync"))
        self.tokens = Tokens([TokenKey.new("k")], issuer="https://id.example", audience="documents", roles=ROLES)
        app = application(self.pack.tenancy, [router(self.pack)], tokens=self.tokens, title="Documents")
        self.http = TestClient(app)
        self.cell = cell

    def client(self, side: str = "acme", role: str | None = "admin", who: str | None = None) -> Client:
        tenant = self.pack.tenancy.tenants.get(f"{side}-{self.cell}")
        subject = who or f"ann@{side}.example"
        return Client(self.http, self.tokens.issue(subject, tenant=tenant.id, roles=[role] if role else []))


@pytest.fixture(scope="module", params=CELLS)
def office(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Office]:
    made = Office(ground, request.param)
    with made.http:
        yield made


def named(client: Client, title: str) -> str:
    return next(
        each["id"] for each in client("GET", "/documents", params={"q": title})["items"] if each["title"] == title
    )


@pytest.mark.ledger("S2-047")
def test_documents_are_listed_with_their_number(office: Office) -> None:
    ann = office.client()
    found = ann("GET", "/documents", params={"limit": 2, "order_by": "title", "status": "published"})
    assert ([each["title"] for each in found["items"]], found["total"]) == (["Budget", "Charter"], 2)
    assert "content" not in found["items"][0]
    money = next(each["id"] for each in ann("GET", "/topics")["items"] if each["name"] == "Money")
    assert ann("GET", "/documents", params={"topic_id": money})["total"] == 2
    assert ann("GET", "/documents", params={"q": "charter", "offset": 1, "limit": 1})["total"] == 2
    assert ann("GET", "/organization")["name"] == "acme"
    assert [each["email"] for each in ann("GET", "/users")["items"]] == ["ann@acme.example"]
    ann("GET", "/documents", 422, params={"limit": 0})


@pytest.mark.ledger("S2-029", "S2-030")
def test_a_document_from_its_beginning_to_its_archive(office: Office) -> None:
    ann = office.client()
    made = ann("POST", "/documents", 201, json={"title": "Paper", "content": "old", "metadata": {"pages": 1}})
    path = f"/documents/{made['id']}"
    assert (made["version"], made["metadata"], made["status"]) == (1, {"pages": 1}, "draft")
    changed = ann("PATCH", path, json={"content": "new", "language": "en", "expected_version": 1})
    assert (changed["version"], changed["language"]) == (2, "en")
    ann("PATCH", path, 409, json={"content": "late", "expected_version": 1})
    listed = ann("GET", f"{path}/versions")["items"]
    assert [(each["version_number"], each["changed_by"]) for each in listed] == [
        (2, made["owner_id"]),
        (1, made["owner_id"]),
    ]
    assert ann("GET", f"{path}/versions/1")["content"] == "old"
    assert "+new" in ann("GET", f"{path}/diff", params={"older": 1, "newer": 2})["diff"]
    assert ann("POST", f"{path}/versions/1/restore")["content"] == "old"
    assert ann("POST", f"{path}/processing")["status"] == "processing"
    ann("POST", f"{path}/processing", 409)
    ann("POST", f"{path}/publication", 409, json={"version": 2, "summary": "s"})
    told = {"version": 3, "summary": "short", "topics": {"Paper": 0.5}, "agent_name": "reader"}
    assert ann("POST", f"{path}/publication", json=told)["status"] == "published"
    assert [each["summary_text"] for each in ann("GET", f"{path}/summaries")] == ["short"]
    (topic,) = ann("GET", f"{path}/topics")
    assert topic["name"] == "Paper"
    assert ann("POST", f"{path}/archive")["status"] == "archived"
    ann("DELETE", f"/topics/{topic['id']}", 204)
    ann("DELETE", path, 204)
    ann("GET", path, 404)
    assert ann("POST", f"{path}/restore")["title"] == "Paper"
    ann("DELETE", path, 204)


@pytest.mark.ledger("S2-034", "S2-035")
def test_topics_and_lines(office: Office) -> None:
    ann = office.client()
    island, charter = named(ann, "Island"), named(ann, "Charter")
    topic = ann("POST", "/topics", 201, json={"name": "Seas", "keywords": ["salt"]})["id"]
    ann("POST", "/topics", 409, json={"name": "Seas"})
    ann("PUT", f"/documents/{island}/topics/{topic}", 204, json={"relevance": 0.5})
    ann("DELETE", f"/documents/{island}/topics/{topic}", 204)
    ann("DELETE", f"/documents/{island}/topics/{topic}", 404)
    ann("DELETE", f"/topics/{topic}", 204)
    related = ann("GET", f"/documents/{charter}/related", params={"max_depth": 3})["items"]
    assert [each["title"] for each in related][2:] == ["Minutes", "Annex"]
    ann("GET", f"/documents/{charter}/related", 422, params={"max_depth": 17})
    nodes = {each["label"]: each["id"] for each in ann("GET", "/graph/nodes")["items"]}
    near = ann("GET", f"/graph/nodes/{nodes['Annex']}/neighbours")
    assert [each["label"] for each in near] == ["Minutes"]
    ways = ann("GET", "/graph/paths", params={"source": nodes["Charter"], "target": nodes["Annex"]})
    assert len(ways) == 2
    assert len(ways[0]) == 4
    line = {"source_document_id": island, "target_document_id": charter, "relationship_type": "cites"}
    drawn = ann("POST", "/graph/lines", 201, json=line)
    assert drawn["target_node_id"] == nodes["Charter"]
    assert ann("POST", "/graph/lines", 201, json=line)["id"] == drawn["id"]
    with office.pack.tenancy.transaction(f"acme-{office.cell}") as session:
        GraphRelationshipRepository(session).delete(drawn["id"])


@pytest.mark.ledger("S2-050")
def test_users(office: Office) -> None:
    ann, viewer = office.client(), office.client(role="viewer")
    bob = ann("POST", "/users", 201, json={"email": "Bob@acme.example", "role": "viewer"})
    assert (bob["email"], bob["role"]) == ("bob@acme.example", "viewer")
    ann("POST", "/users", 409, json={"email": "bob@acme.example"})
    assert ann("PUT", f"/users/{bob['id']}/role", json={"role": "editor"})["role"] == "editor"
    ann("PUT", f"/users/{bob['id']}/role", 422, json={"role": "king"})
    viewer("PUT", f"/users/{bob['id']}/role", 403, json={"role": "admin"})
    with office.pack.tenancy.transaction(f"acme-{office.cell}") as session:
        UserRepository(session).delete(bob["id"])


@pytest.mark.ledger("S2-050", "S2-051", "S2-054")
def test_nobody_gets_another_organisations(office: Office) -> None:
    ann, rival = office.client(), office.client("rival")
    theirs = named(rival, "Charter")
    for path in ("", "/versions", "/related", "/summaries", "/topics"):
        missing = ann.raw("GET", f"/documents/{uuid.uuid4()}{path}")
        assert ann.raw("GET", f"/documents/{theirs}{path}") == missing
        assert b"not_found" in missing
    ann("PATCH", f"/documents/{theirs}", 404, json={"title": "mine"})
    ann("DELETE", f"/documents/{theirs}", 404)
    line = {"source_document_id": theirs, "target_document_id": named(ann, "Charter"), "relationship_type": "cites"}
    ann("POST", "/graph/lines", 404, json=line)
    owner = rival("GET", "/users")["items"][0]["id"]
    for foreign in (owner, str(uuid.uuid4())):
        ann("POST", "/documents", 404, json={"title": "x", "owner_id": foreign})
        ann("POST", "/topics", 404, json={"name": "x", "parent_topic_id": foreign})
    assert office.http.get("/api/documents").status_code == 401


@pytest.mark.ledger("S2-053", "S2-050")
def test_who_may_what(office: Office) -> None:
    viewer, member, stranger = (office.client(role=role) for role in ("viewer", "member", None))
    charter = named(viewer, "Charter")
    viewer("POST", "/documents", 403, json={"title": "x"})
    viewer("DELETE", f"/documents/{charter}", 403)
    member("DELETE", f"/documents/{charter}", 403)
    member("POST", "/topics", 403, json={"name": "x"})
    stranger("GET", "/documents", 403)
    office.client(who="nobody@acme.example")("POST", "/documents", 422, json={"title": "x"})


@pytest.mark.ledger("S2-034", "S2-048")
def test_nobody_reads_of_what_was_hidden(office: Office) -> None:
    ann, viewer, member = office.client(), office.client(role="viewer"), office.client(role="member")
    keys = [ann("POST", "/documents", 201, json={"title": f"{word} plan"})["id"] for word in ("First", "Hush", "Last")]
    topic = ann("POST", "/topics", 201, json={"name": f"Plans of {keys[0]}"})["id"]
    ann("PUT", f"/documents/{keys[1]}/topics/{topic}", 204, json={})
    lines = [
        {"source_document_id": source, "target_document_id": target, "relationship_type": "leads"}
        for source, target in itertools.pairwise(keys)
    ]
    first, second = (ann("POST", "/graph/lines", 201, json=line) for line in lines)
    ends = {"source": first["source_node_id"], "target": second["target_node_id"]}
    assert len(viewer("GET", "/graph/paths", params=ends)[0]) == 3
    ann("DELETE", f"/documents/{keys[1]}", 204)
    assert viewer("GET", "/graph/paths", params=ends) == []
    assert viewer("GET", f"/graph/nodes/{first['source_node_id']}/neighbours") == []
    viewer("GET", f"/graph/nodes/{first['target_node_id']}/neighbours", 404)
    assert viewer("GET", "/graph/nodes", params={"document_id": keys[1]})["total"] == 0
    assert "Hush plan" not in str(viewer("GET", "/graph/nodes", params={"limit": 200}))
    member("DELETE", f"/documents/{keys[1]}/topics/{topic}", 404)
    ann("POST", f"/documents/{keys[1]}/restore")
    assert len(viewer("GET", "/graph/paths", params=ends)[0]) == 3
    ann("DELETE", f"/topics/{topic}", 204)
    for key in keys:
        ann("DELETE", f"/documents/{key}", 204)


@pytest.mark.ledger("S2-048")
def test_who_makes_no_topics_makes_none_by_what_was_found(office: Office) -> None:
    ann, member = office.client(), office.client(role="member")
    paper = member("POST", "/documents", 201, json={"title": "Found"})["id"]
    member("POST", f"/documents/{paper}/processing")
    found = {"version": 1, "summary": "s", "topics": {f"New of {paper}": 0.5}}
    member("POST", f"/documents/{paper}/publication", 403, json=found)
    assert f"New of {paper}" not in str(ann("GET", "/topics", params={"limit": 200}))
    assert member("POST", f"/documents/{paper}/publication", json={**found, "topics": {"Money": 0.5}})
    ann("DELETE", f"/documents/{paper}", 204)


@pytest.mark.ledger("S2-050")
@pytest.mark.parametrize("change", [{"title": None}, {"metadata": None}, {"metadata": DEEP}])
def test_what_a_change_may_not_say(office: Office, change: dict[str, Any]) -> None:
    ann = office.client()
    ann("PATCH", f"/documents/{named(ann, 'Island')}", 422, json=change)


@pytest.mark.ledger("S2-050")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": "x", "tenant_id": str(uuid.uuid4())},
        {"title": "x", "org_id": str(uuid.uuid4())},
        {"title": "x", "version": 7},
        {"title": "x", "status": "published"},
        {"title": "a\x00b"},
        {"title": "x", "metadata": {"a": "\x00"}},
        {"title": "x", "metadata": []},
    ],
)
def test_what_a_body_may_not_say(office: Office, body: dict[str, Any]) -> None:
    office.client()("POST", "/documents", 422, json=body)


@pytest.mark.ledger("S2-050")
def test_its_description_has_examples(office: Office) -> None:
    described = office.http.get("/openapi.json").json()
    assert described["components"]["schemas"]["DocumentIn"]["examples"][0]["title"] == "Charter"
    assert {"/api/documents/{document_id}/related", "/api/graph/paths"} <= described["paths"].keys()
