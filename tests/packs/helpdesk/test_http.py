"""The helpdesk over HTTP: lists and totals, life cycles, what a body may not say, and the neighbour's rows."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tenantry import Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.packs.helpdesk import DESK_ROLES, Agent, Helpdesk, HelpdeskBase, router
from tenantry.web import application

PLACES = [
    "postgresql-rows",
    *(pytest.param(place, marks=pytest.mark.soak) for place in ("postgresql-schema", "sqlite-file", "sqlite-rows")),
]


# Deeper than whatever reads it goes, and not too deep for what parses it.
DEEP: dict[str, Any] = functools.reduce(lambda inner, _: {"a": inner}, range(300), {})


class Served:
    """Two companies behind one application, and requests of somebody of one of them."""

    def __init__(self, tenancy: Tenancy, isolation: str) -> None:
        self.tenancy = tenancy
        self.pack = Helpdesk(tenancy)
        self.tokens = Tokens(
            [TokenKey("test", secrets.token_bytes(32))], issuer="https://id.example", audience="desk", roles=DESK_ROLES
        )
        tenancy.install(create_tables=True)
        self.tenants = {
            side: tenancy.tenants.create(side, isolation=isolation, record={"name": side, "platform": "freshdesk"})
            for side in ("wedosoft", "rival")
        }
        for side in self.tenants:
            with tenancy.transaction(side) as session:
                session.add(Agent(agent_id="agent_1", name=f"Agent of {side}"))
        app = application(tenancy, [router(self.pack)], tokens=self.tokens, title="Desk")
        self.client = TestClient(app, raise_server_exceptions=False)

    def ask(self, method: str, path: str, *, side: str = "wedosoft", role: str = "admin", **options: Any) -> Any:
        token = self.tokens.issue("ann", tenant=self.tenants[side].id, roles=[role])
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self.client.request(method, f"/api{path}", headers=headers, **options)

    def open(self, subject: str, *, side: str = "wedosoft", **more: Any) -> str:
        answer = self.ask("POST", "/tickets", side=side, json={"subject": subject, **more})
        assert answer.status_code == 201, answer.text
        number: str = answer.json()["ticket"]["ticket_id"]
        return number


@pytest.fixture(scope="module", params=PLACES)
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    database, _, isolation = request.param.partition("-")
    isolation = "database" if isolation == "file" else isolation
    if database == "sqlite":
        yield from _serving(f"sqlite:///{tmp_path_factory.mktemp('desk')}", isolation)
    else:
        with postgres.lend_database() as url:
            yield from _serving(url, isolation)


def _serving(url: str, isolation: str) -> Iterator[Served]:
    tenancy = Tenancy(url, models=HelpdeskBase)
    made = Served(tenancy, isolation)
    with made.client:
        yield made
    tenancy.close()


@pytest.mark.ledger("S0-089", "S0-090")
def test_tickets_are_opened_and_listed(served: Served) -> None:
    body = {
        "subject": "Password Reset Request",
        "description": "User needs password reset",
        "requester_email": "user@example.com",
        "priority": "medium",
    }
    before = served.ask("GET", "/tickets").json()["total"]
    made = served.ask("POST", "/tickets", json=body).json()["ticket"]
    assert {name: made[name] for name in body} == body
    assert (made["status"], made["platform"]) == ("open", "freshdesk")
    for number in range(3):
        served.open(f"more {number}")
    page = served.ask("GET", "/tickets", params={"limit": 2}).json()
    assert [ticket["subject"] for ticket in page["tickets"]] == ["more 2", "more 1"]
    assert (page["total"], page["limit"], page["offset"], page["returned"]) == (before + 4, 2, 0, 2)
    following = served.ask("GET", "/tickets", params={"limit": 2, "offset": 2}).json()
    assert following["tickets"][1]["ticket_id"] == made["ticket_id"]
    found = served.ask("GET", "/tickets", params={"q": "password", "status": ["open", "pending"]}).json()
    assert {ticket["ticket_id"] for ticket in found["tickets"]} >= {made["ticket_id"]}
    assert served.ask("GET", "/tickets", params={"q": "%"}).json()["total"] == 0


@pytest.mark.ledger("S0-089")
def test_a_ticket_goes_through_its_life(served: Served) -> None:
    number = served.open("Printer")
    path = f"/tickets/{number}"
    assert served.ask("PATCH", path, json={"priority": "high"}).json()["ticket"]["priority"] == "high"
    given = served.ask("POST", f"{path}/assignment", json={"agent_id": "agent_1"})
    assert given.status_code == 200
    assert served.ask("GET", "/tickets", params={"agent_id": "agent_1"}).json()["total"] == 1
    assert served.ask("POST", f"{path}/tags", json={"names": ["red"]}).status_code == 200
    said = served.ask("POST", f"{path}/conversations", json={"content": "Looking into it"})
    assert said.status_code == 201
    assert served.ask("POST", f"{path}/steps", json={"status": "resolved"}).json()["ticket"]["resolved_at"]
    refused = served.ask("POST", f"{path}/steps", json={"status": "resolved"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    again = served.ask("POST", f"{path}/conversations", json={"content": "It is back", "author_type": "requester"})
    assert again.status_code == 201
    assert served.ask("GET", path).json()["ticket"]["status"] == "open"
    lines = served.ask("GET", f"{path}/conversations").json()
    assert ([line["content"] for line in lines["conversations"]], lines["total"]) == (
        ["Looking into it", "It is back"],
        2,
    )
    assert served.ask("GET", "/conversations", params={"q": "looking"}).json()["total"] == 1
    assert served.ask("POST", f"{path}/object").json()["object"]["id"] == f"wedosoft_freshdesk_{number}"
    assert served.ask("GET", "/objects", params={"q": "printer"}).json()["total"] == 1
    assert served.ask("DELETE", path).status_code == 204
    assert served.ask("GET", path).status_code == 404
    assert served.ask("POST", f"{path}/restore").status_code == 200
    assert served.ask("GET", path).status_code == 200


@pytest.mark.ledger("S0-089")
def test_articles_and_people(served: Served) -> None:
    made = served.ask("POST", "/articles", json={"title": "How", "description": "So"}).json()["article"]
    path = f"/articles/{made['article_id']}"
    assert served.ask("GET", path).status_code == 404
    assert served.ask("POST", f"{path}/steps", json={"status": "published"}).status_code == 200
    assert served.ask("GET", path).json()["article"]["views"] == 1
    assert served.ask("GET", "/articles", params={"q": "how"}).json()["total"] == 1
    assert served.ask("GET", path, side="rival").status_code == 404
    assert served.ask("GET", "/company").json()["company"]["name"] == "wedosoft"
    assert [agent["name"] for agent in served.ask("GET", "/agents").json()["agents"]] == ["Agent of wedosoft"]


@pytest.mark.ledger("S0-089")
@pytest.mark.parametrize(
    "body",
    [
        {"subject": "x", "tenant_id": "00000000-0000-7000-8000-000000000000"},
        {"subject": "x", "company_id": "00000000-0000-7000-8000-000000000000"},
        {"subject": "x", "id": "00000000-0000-7000-8000-000000000000"},
        {"subject": "x", "status": "closed"},
        {"subject": "x", "colour": "red"},
        {"subject": "x", "priority": "whenever"},
        {"subject": "x\x00"},
        {"subject": "x\ud800"},
        {"subject": "x", "custom_fields": {"a": ["\x00"]}},
        {"subject": "x", "custom_fields": {"\ud800": 1}},
        {"subject": "x", "custom_fields": DEEP},
        {"subject": "x", "custom_fields": {"a": "x" * 70_000}},
        {"subject": "x", "ticket_id": "\x00"},
        {"subject": "x" * 501},
        {"subject": ""},
        {"subject": "x", "requester_email": "nobody"},
        {"subject": "x", "due_by": "2026-01-01T00:00:00"},
        {},
    ],
)
def test_what_a_body_may_not_say(served: Served, body: dict[str, Any]) -> None:
    before = served.ask("GET", "/tickets").json()["total"]
    # As escapes, which carry what is no Unicode.
    said = {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
    answer = served.ask("POST", "/tickets", **said)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert served.ask("GET", "/tickets").json()["total"] == before


@pytest.mark.ledger("S0-089")
@pytest.mark.parametrize("text", ["%00", "..%2F..", "'", "9" * 400, "%ED%A0%80", "' OR 1=1 --"])
def test_what_a_path_or_a_query_may_say_finds_nothing(served: Served, text: str) -> None:
    for path in ("/tickets/{}", "/tickets/{}/conversations", "/articles/{}"):
        assert served.ask("GET", path.format(text)).status_code in (404, 422)
    for path in ("/tickets?q={}", "/tickets?agent_id={}", "/conversations?q={}", "/objects?q={}", "/articles?q={}"):
        answer = served.ask("GET", path.format(text))
        assert answer.status_code == 422 or answer.json()["total"] == 0, path


@pytest.mark.ledger("S0-089")
def test_a_number_is_taken_once_in_a_company(served: Served) -> None:
    served.open("mine", ticket_id="n-1")
    served.open("theirs", side="rival", ticket_id="n-1")
    assert served.ask("POST", "/tickets", json={"subject": "x", "ticket_id": "n-1"}).status_code == 409


@pytest.mark.ledger("S0-089")
def test_the_neighbours_rows_are_as_good_as_missing(served: Served) -> None:
    theirs, missing = served.open("theirs", side="rival"), "no-such-ticket"
    requests = [
        ("GET", "/tickets/{}", None),
        ("PATCH", "/tickets/{}", {"priority": "high"}),
        ("DELETE", "/tickets/{}", None),
        ("POST", "/tickets/{}/restore", None),
        ("POST", "/tickets/{}/steps", {"status": "closed"}),
        ("POST", "/tickets/{}/assignment", {"agent_id": "agent_1"}),
        ("POST", "/tickets/{}/tags", {"names": ["x"]}),
        ("GET", "/tickets/{}/conversations", None),
        ("POST", "/tickets/{}/conversations", {"content": "x"}),
        ("POST", "/tickets/{}/object", None),
    ]
    for method, path, body in requests:
        foreign = served.ask(method, path.format(theirs), json=body)
        absent = served.ask(method, path.format(missing), json=body)
        assert foreign.status_code == 404, (method, path)
        assert foreign.content == absent.content
    assert theirs not in served.ask("GET", "/tickets", params={"limit": 200}).text
    assert served.ask("GET", f"/tickets/{theirs}", side="rival").json()["ticket"]["status"] == "open"


@pytest.mark.ledger("S0-089")
def test_who_may(served: Served) -> None:
    assert served.ask("GET", "/tickets", role="viewer").status_code == 200
    assert served.ask("POST", "/tickets", role="viewer", json={"subject": "x"}).status_code == 403
    number = served.open("kept")
    assert served.ask("DELETE", f"/tickets/{number}", role="agent").status_code == 403
    assert served.client.get("/api/tickets").status_code == 401


@pytest.mark.ledger("S0-089")
def test_the_description_has_examples_and_every_route_a_permission(served: Served) -> None:
    described = served.client.get("/openapi.json").json()
    ticket = described["components"]["schemas"]["TicketIn"]
    assert ticket["examples"][0]["subject"] == "Password Reset Request"
    assert ticket["additionalProperties"] is False
    routes = [(path, method) for path, methods in described["paths"].items() for method in methods if "/api" in path]
    assert len(routes) == 20
    for path, method in routes:
        plain = path.replace("{ticket_id}", "x").replace("{article_id}", "x")
        assert served.client.request(method, plain).status_code == 401, (method, path)
