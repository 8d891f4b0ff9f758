"""The routes of incidents: what they do, who may, and that a neighbour's row is one that is not there."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tenantry.access import TokenKey, Tokens
from tenantry.packs.incidents import ROLES, router
from tenantry.web import application

from .cells import Ground, Place

# The routes are the same in all of them: one cell on each database, each with another driver.
CELLS = {"postgresql-rows": "asyncpg", "sqlite-file": "aiosqlite"}
SIDES = ("writer", "rival")


class Api:
    """The application on one cell, with a token for each role of two tenants."""

    def __init__(self, ground: Ground, cell: str, stack: ExitStack) -> None:
        pack = ground.pack(Place(cell, CELLS[cell]))
        key = TokenKey("k", secrets.token_bytes(32))
        self.tokens = Tokens([key], issuer="https://id.example.com", audience="incidents", roles=ROLES)
        self.roles = {}
        for side in SIDES:
            tenant = pack.tenancy.tenants.get(f"{side}-{cell}")
            for role in ROLES:
                self.roles[side, role] = self.tokens.issue(f"{role}@{side}", tenant=tenant.id, roles=[role])
        app = application(pack.tenancy, [router(pack)], tokens=self.tokens, title="Incidents")
        self.app = app
        self.client = stack.enter_context(TestClient(app))

    def __call__(self, method: str, path: str, *, side: str = "writer", role: str = "admin", **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.roles[side, role]}"}
        return self.client.request(method, path, headers=headers, **options)

    def workflow(self, side: str = "writer") -> str:
        made = self("POST", "/workflows", side=side, json={"name": f"w-{uuid.uuid4().hex}"})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def incident(self, workflow: str, side: str = "writer") -> str:
        made = self("POST", "/events", side=side, json=event(workflow))
        return made.json()["incident"]["id"]


def event(workflow: str, **values: Any) -> dict[str, Any]:
    return {
        "workflow_id": workflow,
        "event_type": "payment.failed",
        "payload": {"error_code": uuid.uuid4().hex},
        "idempotency_key": uuid.uuid4().hex,
        "occurred_at": "2026-03-02T08:00:00Z",
        **values,
    }


@pytest.fixture(scope="module", params=CELLS)
def api(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Api]:
    with ExitStack() as stack:
        yield Api(ground, request.param, stack)


@pytest.mark.ledger("S4-031")
def test_from_the_event_to_the_outcome(api: Api) -> None:
    workflow = api.workflow()
    told = event(workflow)
    first, again = (api("POST", "/events", role="reporter", json=told) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json()["new"], again.json()["new"]) == (True, False)
    incident = first.json()["incident"]
    assert first.json()["event"]["correlation_id"] == incident["correlation_id"]
    path = f"/incidents/{incident['id']}"
    decision = {"decision_type": "retry", "reasoning": "x", "confidence_score": 0.5, "ai_model": "m"}
    decided = api("POST", f"{path}/decisions", role="responder", json=decision)
    assert decided.status_code == 201
    planned = api("POST", f"{path}/actions", role="responder", json={"action_type": "retry"}).json()
    action = f"/actions/{planned['id']}"
    assert api("POST", f"{action}/succeed", json={}).status_code == 409
    assert api("POST", f"{action}/start").json()["status"] == "IN_PROGRESS"
    assert api("POST", f"{action}/fail", json={"error": "down"}).json()["error"] == "down"
    assert api("GET", path, role="viewer").json()["status"] == "ANALYZING"
    second = api("POST", f"{path}/actions", json={"action_type": "manual"}).json()
    api("POST", f"/actions/{second['id']}/start")
    assert api("POST", f"/actions/{second['id']}/succeed", json={"result": {"ok": True}}).json()["result"] == {
        "ok": True
    }
    assert api("GET", path, role="viewer").json()["status"] == "RESOLVED"
    assert api("POST", f"{path}/ignore").status_code == 409
    found = api("GET", f"{path}/actions").json()
    assert ([each["id"] for each in found["items"]], found["total"]) == ([planned["id"], second["id"]], 2)
    assert api("GET", f"{path}/actions", params={"status": "FAILED"}).json()["total"] == 1
    assert [each["id"] for each in api("GET", f"{path}/decisions").json()["items"]] == [decided.json()["id"]]


@pytest.mark.ledger("S4-031")
def test_steps_of_an_incident(api: Api) -> None:
    incident = api.incident(api.workflow())
    for step, status in (("analyse", "ANALYZING"), ("ignore", "IGNORED"), ("resolve", "RESOLVED")):
        assert api("POST", f"/incidents/{incident}/{step}").json()["status"] == status


@pytest.mark.ledger("S4-031")
def test_lists_say_how_long_the_whole_is(api: Api) -> None:
    workflow = api.workflow()
    for minute in range(3):
        api("POST", "/events", json=event(workflow, occurred_at=f"2026-03-02T08:0{minute}:00Z"))
    found = api("GET", "/events", params={"workflow_id": workflow, "limit": 2, "offset": 1}).json()
    assert [each["occurred_at"][14:16] for each in found["items"]] == ["01", "00"]
    assert (found["total"], found["limit"], found["offset"]) == (3, 2, 1)
    chosen = api("GET", "/incidents", params={"workflow_id": workflow, "status": "NEW", "severity": "MEDIUM"}).json()
    assert chosen["total"] == 3
    assert api("GET", "/incidents", params={"workflow_id": workflow, "status": "RESOLVED"}).json()["total"] == 0
    one = found["items"][0]
    assert api("GET", f"/events/{one['id']}").json() == one
    assert api("GET", "/events", params={"correlation_id": one["correlation_id"]}).json()["total"] == 1
    for wrong in ({"limit": 0}, {"limit": 201}, {"offset": -1}, {"status": "LOST"}, {"workflow_id": "x"}):
        assert api("GET", "/incidents", params=wrong).status_code == 422


@pytest.mark.ledger("S4-031")
def test_workflows_are_changed_and_taken_out_of_use(api: Api) -> None:
    workflow = api.workflow()
    changed = api("PATCH", f"/workflows/{workflow}", json={"is_active": False, "description": "old"})
    assert (changed.json()["is_active"], changed.json()["description"]) == (False, "old")
    refused = api("POST", "/events", json=event(workflow))
    assert (refused.status_code, refused.json()["code"]) == (423, "locked")
    known = api("GET", f"/workflows/{workflow}").json()
    assert api("POST", "/workflows", json={"name": known["name"]}).status_code == 409
    assert workflow in [each["id"] for each in api("GET", "/workflows", params={"is_active": False}).json()["items"]]


@pytest.mark.ledger("S4-031")
def test_kill_switches_stop_and_let_go_on(api: Api) -> None:
    workflow = api.workflow()
    thrown = api("POST", "/kill-switches", role="responder", json={"reason": "loops", "workflow_id": workflow})
    assert (thrown.status_code, thrown.json()["activated_by"]) == (201, "responder@writer")
    refused = api("POST", "/events", role="reporter", json=event(workflow))
    assert (refused.status_code, "loops" in refused.text) == (423, False)
    assert [each["workflow_id"] for each in api("GET", "/kill-switches").json()] == [workflow]
    assert api("POST", "/kill-switches/release", role="responder", json={}).status_code == 403
    for released in (True, False):
        answer = api("POST", "/kill-switches/release", json={"workflow_id": workflow})
        assert answer.json() == {"released": released}
    assert api("POST", "/events", json=event(workflow)).status_code == 201


@pytest.mark.ledger("S4-031")
def test_a_key_that_came_with_something_else_is_refused(api: Api) -> None:
    told = event(api.workflow())
    api("POST", "/events", json=told)
    refused = api("POST", "/events", json={**told, "event_type": "payment.captured"})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.ledger("S4-031")
def test_a_neighbours_row_is_one_that_is_not_there(api: Api) -> None:
    workflow = api.workflow("rival")
    incident, missing = api.incident(workflow, "rival"), str(uuid.uuid4())
    planned = api("POST", f"/incidents/{incident}/actions", side="rival", json={"action_type": "retry"}).json()["id"]
    seen = api("GET", "/events", side="rival", params={"workflow_id": workflow}).json()["items"][0]["id"]
    decision = {"decision_type": "retry", "reasoning": "x", "confidence_score": 0.5, "ai_model": "m"}
    asks: list[tuple[str, str, str, dict[str, Any] | None]] = [
        ("GET", "/workflows/{}", workflow, None),
        ("PATCH", "/workflows/{}", workflow, {"is_active": False}),
        ("GET", "/events/{}", seen, None),
        ("GET", "/incidents/{}", incident, None),
        ("POST", "/incidents/{}/resolve", incident, None),
        ("POST", "/incidents/{}/decisions", incident, decision),
        ("GET", "/incidents/{}/decisions", incident, None),
        ("POST", "/incidents/{}/actions", incident, {"action_type": "retry"}),
        ("GET", "/incidents/{}/actions", incident, None),
        ("POST", "/actions/{}/start", planned, None),
        ("POST", "/actions/{}/succeed", planned, {}),
        ("POST", "/actions/{}/fail", planned, {"error": "x"}),
    ]
    for method, path, theirs, body in asks:
        foreign, none = (api(method, path.format(each), json=body) for each in (theirs, missing))
        assert (foreign.status_code, foreign.content) == (404, none.content), path
    for body in (event(workflow), event(missing)):
        assert api("POST", "/events", json=body).status_code == 404
    for each in (workflow, missing):
        stopping = api("POST", "/kill-switches", json={"reason": "x", "workflow_id": each})
        assert stopping.status_code == 404
    assert api("GET", f"/incidents/{incident}", side="rival").json()["status"] == "ACTIONED"
    assert api("GET", "/events", params={"workflow_id": workflow}).json()["total"] == 0


@pytest.mark.ledger("S4-031")
def test_no_body_chooses_the_tenant_or_what_is_kept(api: Api) -> None:
    workflow, other = api.workflow(), str(uuid.uuid4())
    for name, value in (("tenant_id", other), ("id", other), ("created_at", "2020-01-01T00:00:00Z"), ("colour", 1)):
        refused = api("POST", "/events", json={**event(workflow), name: value})
        assert (refused.status_code, refused.json()["errors"][0]["type"]) == (422, "extra_forbidden")
        assert api("PATCH", f"/workflows/{workflow}", json={name: value}).status_code == 422
    # Two of the times are beyond the first and the last in UTC.
    times = ("2026-03-02T08:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")
    for wrong in (*({"occurred_at": at} for at in times), {"idempotency_key": ""}, {"event_type": "x" * 256}):
        assert api("POST", "/events", json={**event(workflow), **wrong}).status_code == 422
    assert api("POST", "/kill-switches", json={"reason": " "}).status_code == 422
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    for wrong in ({"event_type": "a\x00b"}, {"payload": deep}, {"payload": {"a": "\x00"}}):
        assert api("POST", "/events", json={**event(workflow), **wrong}).status_code == 422


@pytest.mark.ledger("S4-031")
def test_each_route_asks_for_its_permission(api: Api) -> None:
    asked = {"viewer": "GET", "reporter": None}
    for path, operations in api.app.openapi()["paths"].items():
        for method, described in operations.items():
            if path == "/health":
                continue
            url = path.replace("{name}", "payments").replace("{incident_id}", str(uuid.uuid4()))
            url = url.replace("{workflow_id}", str(uuid.uuid4())).replace("{action_id}", str(uuid.uuid4()))
            url = url.replace("{event_id}", str(uuid.uuid4()))
            for role, allowed in asked.items():
                answer = api(method.upper(), url, role=role)
                may = method.upper() == allowed or (role, path, method) == ("reporter", "/events", "post")
                assert (answer.status_code == 403) is not may, (role, method, path, described["summary"])
            assert api.client.request(method, url).status_code == 401


@pytest.mark.ledger("S4-031")
def test_a_vendor_is_shown_as_it_stands_for_the_asker(api: Api) -> None:
    found = api("GET", "/vendors/payments", role="viewer").json()
    assert (found["state"], found["rate_limit_per_minute"]) == ("closed", 30)
    assert api("GET", "/vendors/unheard-of").status_code == 404


@pytest.mark.ledger("S4-031")
def test_the_description_has_examples(api: Api) -> None:
    schemas = api.app.openapi()["components"]["schemas"]
    bodies = [name for name in schemas if name.endswith("In") and name not in ("ReleaseIn",)]
    assert len(bodies) == 7
    for name in bodies:
        assert any("examples" in each for each in schemas[name]["properties"].values()), name
