"""The meetings over HTTP: lists and totals, steps, what a body may not say, and the neighbour's rows."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tenantry import Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.packs.meetings import ROLES, CRMConnection, Meetings, MeetingsBase, router
from tenantry.packs.meetings import Tenant as Workspace
from tenantry.web import application

PLACES = [
    "postgresql-rows",
    "sqlite-file",
    pytest.param("postgresql-schema", marks=pytest.mark.soak),
    pytest.param("sqlite-rows", marks=pytest.mark.soak),
]
SECRETS = ("credentials", "env:", "arn:")


class Served:
    """Two workspaces behind one application, and requests of somebody of one of them."""

    def __init__(self, tenancy: Tenancy, isolation: str) -> None:
        self.pack = Meetings(tenancy)
        key = TokenKey("test", secrets.token_bytes(32))
        self.tokens = Tokens([key], issuer="https://id.example", audience="meetings", roles=ROLES)
        tenancy.install(create_tables=True)
        self.tenants = {
            side: self.pack.workspaces.install(f"T{side.upper()}", side, isolation=isolation, plan_tier="pro")
            for side in ("acme", "rival")
        }
        app = application(tenancy, [router(self.pack)], tokens=self.tokens, title="Meetings")
        self.client = TestClient(app, raise_server_exceptions=False)

    def ask(self, method: str, path: str, *, side: str = "acme", role: str = "admin", **options: Any) -> Any:
        token = self.tokens.issue("ann", tenant=self.tenants[side].id, roles=[role])
        return self.client.request(method, f"/api{path}", headers={"Authorization": f"Bearer {token}"}, **options)

    def made(self, path: str, body: dict[str, Any], *, side: str = "acme") -> dict[str, Any]:
        answer = self.ask("POST", path, side=side, json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def meeting(self, title: str, *, side: str = "acme") -> str:
        return str(self.made("/meetings", {"title": title}, side=side)["id"])


@pytest.fixture(scope="module", params=PLACES)
def served(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    database, _, isolation = request.param.partition("-")
    isolation = "database" if isolation == "file" else isolation
    if database == "sqlite":
        yield from _serving(f"sqlite:///{tmp_path_factory.mktemp('meetings')}", isolation)
    else:
        with postgres.lend_database() as url:
            yield from _serving(url, isolation)


def _serving(url: str, isolation: str) -> Iterator[Served]:
    tenancy = Tenancy(url, models=MeetingsBase)
    made = Served(tenancy, isolation)
    with made.client:
        yield made
    tenancy.close()


@pytest.mark.ledger("S1-001")
def test_the_workspace_and_its_numbers(served: Served) -> None:
    found = served.ask("GET", "/workspace", side="rival").json()
    assert (found["slack_team_id"], found["plan_tier"]) == ("TRIVAL", "pro")
    served.meeting("counted", side="rival")
    assert served.ask("GET", "/workspace/stats", side="rival").json()["meetings_total"] == 1
    for role in ("admin", "member", "viewer"):
        refused = served.ask("PUT", "/workspace/plan", side="rival", role=role, json={"plan_tier": "enterprise"})
        assert refused.status_code == 403
    bill = {"side": "rival", "role": "billing"}
    assert served.ask("PUT", "/workspace/plan", **bill, json={"plan_tier": "gold"}).status_code == 422
    changed = served.ask("PUT", "/workspace/plan", **bill, json={"plan_tier": "enterprise"})
    assert changed.json()["plan_tier"] == "enterprise"


@pytest.mark.ledger("S1-001")
def test_a_slug_that_somebody_has_keeps_no_workspace_out(served: Served) -> None:
    """Of two teams with the same slug each has a tenant of its own, however often it is installed."""
    install, isolation = served.pack.workspaces.install, served.tenants["acme"].isolation
    first, second = (install(team, "Twin", isolation=isolation) for team in ("T_TWIN", "T-TWIN"))
    assert first.id != second.id
    assert [install(team, "Twin").id for team in ("T_TWIN", "T-TWIN")] == [first.id, second.id]
    for made, team in ((first, "T_TWIN"), (second, "T-TWIN")):
        with served.pack.tenancy.session(made) as session:
            assert session.query(Workspace).one().slack_team_id == team


@pytest.mark.ledger("S1-001")
def test_users_come_change_and_go(served: Served) -> None:
    user = served.made("/users", {"slack_user_id": "U1", "slack_email": "u1@acme.example"})
    assert served.ask("POST", "/users", json={"slack_user_id": "U1"}).status_code == 409
    changed = served.ask("PATCH", f"/users/{user['id']}", json={"role": "viewer"}).json()
    assert (changed["role"], changed["slack_email"]) == ("viewer", "u1@acme.example")
    listed = served.ask("GET", "/users?role=viewer").json()
    assert (listed["total"], listed["users"][0]["id"]) == (1, user["id"])
    served.ask("PATCH", f"/users/{user['id']}", json={"role": "admin"})
    assert served.ask("DELETE", f"/users/{user['id']}").status_code == 204
    assert served.ask("GET", "/users").json()["total"] == 0
    back = served.made("/users", {"slack_user_id": "U1"})
    assert (back["id"], back["role"]) == (user["id"], "member")
    assert served.ask("DELETE", f"/users/{user['id']}").status_code == 204


@pytest.mark.ledger("S1-043")
def test_credentials_neither_come_in_nor_go_out(served: Served) -> None:
    body = {"provider_type": "hubspot", "connection_name": "Sales"}
    for name in ("credentials_secret_id", "tenant_id", "status", "id"):
        assert served.ask("POST", "/connections", json={**body, name: "env:PATH"}).status_code == 422
    made = served.made("/connections", body)
    listed = served.ask("GET", "/connections")
    assert listed.json()["connections"] == [made]
    assert not [word for word in SECRETS if word in listed.text]
    tenant = served.tenants["acme"]
    with served.pack.tenancy.session(tenant) as session:
        kept = session.query(CRMConnection).one().credentials_secret_id
    assert kept == f"env:MEETINGS_HUBSPOT_{tenant.id.hex.upper()}"
    second = served.made("/connections", {"provider_type": "crono"})
    chosen = served.ask("PUT", f"/connections/{second['id']}/default")
    assert chosen.json()["is_default"]
    assert served.ask("DELETE", f"/connections/{second['id']}").status_code == 204
    assert served.ask("DELETE", f"/connections/{made['id']}").status_code == 204


@pytest.mark.ledger("S1-001")
def test_a_meeting_goes_its_way(served: Served) -> None:
    connection = served.made("/connections", {"provider_type": "hubspot"})
    told = {"fathom_meeting_id": "f-7", "title": "100% sure", "participants": [{"name": "Bo", "email": "bo@x.example"}]}
    meeting = served.made("/meetings", told)
    assert served.made("/meetings", told)["id"] == meeting["id"]
    path = f"/meetings/{meeting['id']}"
    findings = {"ai_summary": "They want a demo.", "sentiment": "positive", "prompt_tokens": 10}
    assert served.ask("POST", f"{path}/complete", json=findings).status_code == 409
    assert served.ask("POST", f"{path}/note", json={}).status_code == 404
    assert served.ask("POST", f"{path}/start").json()["processing_status"] == "processing"
    assert served.ask("POST", f"{path}/fail", json={"error": "No transcript"}).json()["processing_error"]
    served.ask("POST", f"{path}/retry")
    served.ask("POST", f"{path}/start")
    done = served.ask("POST", f"{path}/complete", json=findings).json()
    assert (done["processing_status"], done["tokens_used"]) == ("completed", 10)
    handed = served.ask("POST", f"{path}/note", json={"crm_connection_id": connection["id"]})
    assert handed.json()["crm_sync_status"] == "pending"
    found = served.ask("GET", "/meetings?q=100%25&status=completed&crm=pending").json()
    assert [row["id"] for row in found["meetings"]] == [meeting["id"]]
    assert served.ask("GET", "/meetings?q=100%25&status=failed").json()["total"] == 0
    limits = served.ask("GET", "/workspace/limits").json()
    assert [(limit["resource_type"], limit["limit_period"]) for limit in limits] == [("meetings_processed", "daily")]
    assert served.ask("DELETE", path).status_code == 204
    assert served.ask("GET", path).status_code == 404
    assert served.ask("DELETE", f"/connections/{connection['id']}").status_code == 204


@pytest.mark.ledger("S1-001")
def test_lists_count_all_and_show_a_part(served: Served) -> None:
    for number in range(3):
        served.meeting(f"listed {number}")
    page = served.ask("GET", "/meetings?q=listed&limit=2&offset=2").json()
    assert (page["total"], page["limit"], page["offset"], page["returned"]) == (3, 2, 2, 1)
    assert page["meetings"][0]["title"] == "listed 0"
    for wrong in ("limit=0", "limit=201", "offset=-1", "status=lost", "user_id=7"):
        assert served.ask("GET", f"/meetings?{wrong}").status_code == 422


@pytest.mark.ledger("S1-001")
def test_accounts_are_learnt_found_and_confirmed(served: Served) -> None:
    assert served.ask("POST", "/accounts", json={"email": "a@b.example", "crm_account_id": "1"}).status_code == 409
    connection = served.made("/connections", {"provider_type": "hubspot"})
    assert served.ask("POST", "/accounts", json={"email": "nobody", "crm_account_id": "1"}).status_code == 422
    made = served.made("/accounts", {"email": "Bo@Globex.example", "crm_account_id": "g-1", "confidence": 0.4})
    found = served.ask("GET", "/accounts/of?email=cy@GLOBEX.example").json()
    assert (found["id"], found["use_count"]) == (made["id"], 0)
    assert served.ask("GET", "/accounts/of?email=cy@globex.example&verified_only=true").status_code == 404
    assert served.ask("POST", f"/accounts/{made['id']}/verify").json()["is_verified"]
    assert served.ask("GET", "/accounts?verified=true").json()["total"] == 1
    assert served.ask("DELETE", f"/connections/{connection['id']}").status_code == 204


@pytest.mark.ledger("S1-040", "S1-042")
def test_what_is_the_neighbours_is_not_there(served: Served) -> None:
    theirs = served.meeting("secret plan", side="rival")
    missing = served.ask("GET", f"/meetings/{uuid.uuid4()}")
    for method, path, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/start", None),
        ("POST", "/fail", {"error": "x"}),
    ):
        answer = served.ask(method, f"/meetings/{theirs}{path}", json=body)
        assert (answer.status_code, answer.content) == (404, missing.content)
    assert "secret plan" not in served.ask("GET", "/meetings?limit=200").text
    stolen = served.ask("POST", "/meetings", json={"title": "x", "user_id": str(uuid.uuid4())})
    assert stolen.status_code == 409


@pytest.mark.ledger("S1-001")
def test_roles_may_what_they_may(served: Served) -> None:
    assert served.client.get("/api/meetings").status_code == 401
    assert served.ask("GET", "/meetings", role="viewer").status_code == 200
    for method, path, role in (
        ("POST", "/meetings", "viewer"),
        ("POST", "/connections", "member"),
        ("PUT", "/workspace/plan", "member"),
        ("GET", "/audit", "member"),
    ):
        assert served.ask(method, path, role=role, json={}).status_code == 403


@pytest.mark.ledger("S1-045")
def test_the_audit_says_who_did_what(served: Served) -> None:
    connection = served.made("/connections", {"provider_type": "salesforce"})
    newest = served.ask("GET", "/audit?limit=1").json()["logs"][0]
    assert (newest["event_type"], newest["user_id"], newest["resource_id"]) == (
        "crm.connected",
        "ann",
        connection["id"],
    )
    assert served.ask("GET", "/audit?failed=true").json()["total"] >= 0
    served.ask("DELETE", f"/connections/{connection['id']}")


@pytest.mark.ledger("S1-001")
@pytest.mark.parametrize("body", [[], "x", {"title": 7}, {"title": "\x00"}, {"titel": "x"}, {"duration_seconds": -1}])
def test_bodies_of_the_wrong_form(served: Served, body: Any) -> None:
    answer = served.ask("POST", "/meetings", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid"


@pytest.mark.ledger("S1-001")
def test_it_is_described_with_examples(served: Served) -> None:
    described = served.client.get("/openapi.json").json()
    bodies = {name: schema for name, schema in described["components"]["schemas"].items() if name.endswith("In")}
    assert {name for name, schema in bodies.items() if "examples" not in schema} <= {"NoteIn"}
    assert all("tenant_id" not in schema["properties"] for schema in bodies.values())
