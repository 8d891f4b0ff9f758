"""The assistant over HTTP: from a log-in to the company that the token is for, and never to another."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tenantry import Tenancy
from tenantry.access import Passwords
from tenantry.packs.assistant import PUBLIC, Assistant, AssistantBase, Piece, router
from tenantry.web.applications import application

PASSWORD = uuid.uuid4().hex
DOCUMENT = {"filename": "mix.pdf", "file_path": "uploads/mix.pdf", "scope": "company"}


class Client:
    """Somebody with a token, or nobody."""

    def __init__(self, http: TestClient, token: str | None = None) -> None:
        self._http = http
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Returns the answer's body, having made sure of its status."""
        answer = self._http.request(method, path, headers=self._headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def bytes(self, method: str, path: str, status: int, **options: Any) -> bytes:
        """Returns the answer's bytes."""
        answer = self._http.request(method, path, headers=self._headers, **options)
        assert answer.status_code == status, answer.text
        return answer.content


class World:
    """An application over a directory of files: companies 1 and 2, each with an admin, an analyst and a viewer."""

    def __init__(self, directory: Path) -> None:
        tenancy = Tenancy(f"sqlite:///{directory}", models=AssistantBase)
        self.pack = Assistant(tenancy, passwords=Passwords(time_cost=1, memory_cost=8, parallelism=1))
        tenancy.install(create_tables=True)
        self.pack.prepare({"TENANTRY_ADMIN_NAME": "root", "TENANTRY_ADMIN_PASSWORD": PASSWORD})
        for number in (1, 2):
            self.pack.companies.create(f"Company {number}")
            for name, role in (("ann", "admin"), ("bob", "analyst"), ("vic", "viewer")):
                self._add(f"{name}{number}", role, number)
        self.pack.library.publish("law.pdf", pieces=[Piece("first")])
        access = self.pack.access
        self.app = application(
            tenancy, [router(self.pack)], tokens=access.tokens, access=access, title="Assistant", public=PUBLIC
        )

    def _add(self, name: str, role: str, number: int) -> None:
        told = {"email": f"{name}@x.example", "password": PASSWORD, "role": role, "company_id": number}
        self.pack.on_platform(lambda session: self.pack.users.create(session, name, **told))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("http"))


@pytest.fixture(scope="module")
def http(world: World) -> Iterator[TestClient]:
    with TestClient(world.app) as found:
        yield found


@pytest.fixture(scope="module")
def people(http: TestClient) -> dict[str, Client]:
    """Everybody by name, logged in; "nobody" has no token."""
    nobody, found = Client(http), {"nobody": Client(http)}
    for name in ("root", *(f"{name}{number}" for number in (1, 2) for name in ("ann", "bob", "vic"))):
        told = nobody.ask("POST", "/auth/login", json={"username": name, "password": PASSWORD})
        found[name] = Client(http, told["access_token"])
    return found


@pytest.mark.ledger("S3-002", "S3-003")
def test_the_token_leads_to_the_users_company(people: dict[str, Client]) -> None:
    for number in (1, 2):
        ann = people[f"ann{number}"]
        made = ann.ask("POST", "/documents", 201, json={**DOCUMENT, "filename": f"of {number}.pdf"})
        assert (made["id"], made["processing_status"], made["scope"]) == (1, "pending", "company")
        listed = people[f"vic{number}"].ask("GET", "/documents")
        assert [each["filename"] for each in listed["items"]] == [f"of {number}.pdf", "law.pdf"]
        assert listed["total"] == 2
        me = ann.ask("GET", "/me")
        assert (me["username"], me["company_id"], me["role"]) == (f"ann{number}", number, "admin")


@pytest.mark.ledger("S3-051", "S3-004")
def test_without_a_company_there_is_nothing_of_one(people: dict[str, Client]) -> None:
    for path in ("/documents", "/conversations", "/reports", "/usage", "/profile"):
        assert people["nobody"].bytes("GET", path, 401) == people["root"].bytes("GET", path, 401)
    people["nobody"].ask("GET", "/me", 401)
    assert people["root"].ask("GET", "/me")["company_id"] is None


@pytest.mark.ledger("S3-051")
def test_bodies_name_no_company(people: dict[str, Client]) -> None:
    for extra in ({"company_id": 2}, {"tenant_id": str(uuid.uuid4())}, {"uploaded_by_id": 1}, {"id": 9}):
        people["ann1"].ask("POST", "/documents", 422, json={**DOCUMENT, **extra})
    people["ann1"].ask("POST", "/documents", 422, json={**DOCUMENT, "scope": "global"})


@pytest.mark.ledger("S3-020", "S3-024")
def test_who_may_not_is_told_so(people: dict[str, Client]) -> None:
    people["vic1"].ask("POST", "/documents", 403, json=DOCUMENT)
    people["bob1"].ask("DELETE", "/documents/1", 403)
    people["bob1"].ask("GET", "/users", 403)
    people["bob1"].ask("PUT", "/profile", 403, json={"budget": 1})
    people["vic1"].ask("POST", "/reports", 403, json={"report_type": "mix", "report_data": {}})
    for name in ("ann1", "bob1", "vic1"):
        people[name].ask("GET", "/admin/companies", 403)


@pytest.mark.ledger("S3-033")
def test_a_document_from_upload_to_deletion(people: dict[str, Client]) -> None:
    ann, bob = people["ann1"], people["bob1"]
    own = bob.ask("POST", "/documents", 201, json={**DOCUMENT, "scope": "user"})
    path = f"/documents/{own['id']}"
    missing = ann.bytes("GET", "/documents/999", 404)
    assert ann.bytes("GET", path, 404) == missing
    bob.ask("POST", f"{path}/complete", 409, json={"pieces": []})
    bob.ask("POST", f"{path}/begin")
    bob.ask("POST", f"{path}/begin", 409)
    call = {"provider": "custom", "model": "DeepSeek-V3", "prompt_tokens": 1000, "completion_tokens": 500}
    done = bob.ask("POST", f"{path}/complete", json={"pieces": [{"content": "one"}], "summary": "s", "call": call})
    assert (done["is_processed"], done["summary"]) == (True, "s")
    chunks = bob.ask("GET", f"{path}/chunks")
    assert [each["content"] for each in chunks["items"]] == ["one"]
    bob.ask("POST", f"{path}/again")
    bob.ask("POST", f"{path}/fail", json={"reason": "lost"})
    used = ann.ask("GET", "/usage", params={"by": "operation"})
    assert used["totals"]["document_processing"]["cost"] == "0.020000"
    assert people["ann2"].ask("GET", "/usage")["total"]["requests"] == 0
    gone = ann.ask("POST", "/documents", 201, json=DOCUMENT)["id"]
    ann.ask("DELETE", f"/documents/{gone}", 204)
    assert ann.bytes("GET", f"/documents/{gone}", 404) == missing
    law = next(each["id"] for each in ann.ask("GET", "/documents")["items"] if each["scope"] == "global")
    assert [each["content"] for each in ann.ask("GET", f"/library/{law}/chunks")["items"]] == ["first"]
    ann.ask("GET", "/library/99/chunks", 404)


@pytest.mark.ledger("S3-034", "S3-037")
def test_a_conversation_from_question_to_cost(people: dict[str, Client]) -> None:
    ann, bob = people["ann1"], people["bob1"]
    bob.ask("PATCH", "/me", json={"preferred_llm": "ollama"})
    talk = bob.ask("POST", "/conversations", 201, json={"title": "Mix"})
    assert talk["llm_provider"] == "ollama"
    path = f"/conversations/{talk['id']}"
    bob.ask("POST", f"{path}/messages", 201, json={"content": "How much is renewable?"})
    answer = {
        "content": "42 %",
        "confidence": 0.2,
        "sources": ["law.pdf"],
        "call": {"provider": "ollama", "model": "llama", "prompt_tokens": 5},
        "steps": [{"agent_type": "grounding", "operation": "verify", "vote": {"vote": "yes"}}],
    }
    said = bob.ask("POST", f"{path}/answers", 201, json=answer)
    assert (said["low_confidence_warning"], said["token_usage"]["total_tokens"]) == (True, 5)
    whole = bob.ask("GET", path)
    assert [each["role"] for each in whole["messages"]] == ["user", "assistant"]
    steps = bob.ask("GET", f"/messages/{said['id']}/steps")
    assert [(each["agent_type"], each["is_council_vote"]) for each in steps["items"]] == [("grounding", True)]
    # Who administers the company sees it; another company's admin, and a colleague who does not, see nothing.
    assert ann.ask("GET", "/conversations")["total"] == 1
    assert people["vic1"].ask("GET", "/conversations")["total"] == 0
    assert people["vic1"].bytes("GET", path, 404) == people["ann2"].bytes("GET", path, 404)
    later = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat()
    assert bob.ask("GET", "/usage", params={"by": "model"})["totals"]["ollama/llama"]["prompt_tokens"] == 5
    assert bob.ask("GET", "/usage", params={"since": later})["total"]["requests"] == 0
    bob.ask("DELETE", path, 204)
    bob.ask("GET", path, 404)


@pytest.mark.ledger("S3-051")
def test_documents_in_bodies_are_such_as_can_be_told_again(people: dict[str, Client]) -> None:
    bob = people["bob1"]
    path = f"/conversations/{bob.ask('POST', '/conversations', 201, json={})['id']}/answers"
    for value in (r'"\ud800"', r'"\u0000"', "NaN", "1e999", "[" * 300 + "]" * 300):
        report = f'{{"report_type": "x", "report_data": {{"a": {value}}}}}'
        answers = [f'{{"content": "x", "{name}": [{value}]}}' for name in ("sources", "reasoning_chain")]
        vote = f'{{"content": "x", "steps": [{{"agent_type": "x", "vote": {{"a": {value}}}}}]}}'
        for where, content in (("/reports", report), *((path, each) for each in (*answers, vote))):
            bob.ask("POST", where, 422, content=content)


@pytest.mark.ledger("S3-051")
def test_reports_and_the_profile(people: dict[str, Client]) -> None:
    ann, bob, vic = people["ann1"], people["bob1"], people["vic1"]
    given = {"report_type": "mix", "report_data": {"wind": 0.4}, "tags": ["q3"]}
    saved = bob.ask("POST", "/reports", 201, json=given)
    path = f"/reports/{saved['report_id']}"
    assert vic.ask("GET", path)["report_data"] == {"wind": 0.4}
    assert vic.ask("GET", "/reports", params={"report_type": "other"})["total"] == 0
    assert people["ann2"].bytes("GET", path, 404) == people["ann1"].bytes("GET", "/reports/none", 404)
    bob.ask("DELETE", path, 403)
    ann.ask("DELETE", path, 204)
    vic.ask("GET", "/profile", 404)
    ann.ask("PUT", "/profile", 422, json={"energy_mix_weight": 0.9})
    ann.ask("PUT", "/profile", json={"industry": "ITeS", "budget": 5})
    assert ann.ask("PUT", "/profile", json={"location": "Pune"})["industry"] == "ITeS"
    assert vic.ask("GET", "/profile")["location"] == "Pune"


@pytest.mark.ledger("S3-051")
def test_a_company_looks_after_its_own_users(people: dict[str, Client], http: TestClient) -> None:
    ann = people["ann1"]
    new = {"username": "Eve1", "email": "eve@x.example", "password": PASSWORD, "role": "viewer"}
    made = ann.ask("POST", "/users", 201, json=new)
    assert (made["username"], made["role"]) == ("eve1@company_1", "viewer")
    assert "hashed_password" not in made
    ann.ask("POST", "/users", 409, json=new)
    ann.ask("POST", "/users", 403, json={**new, "username": "sam", "email": "s@x", "role": "super_admin"})
    ann.ask("POST", "/users", 404, json={**new, "username": "sam", "email": "s@x", "role": "king"})
    assert ann.ask("GET", "/users", params={"limit": 2})["total"] == 4
    told = Client(http).ask("POST", "/auth/login", json={"username": made["username"], "password": PASSWORD})
    eve = Client(http, told["access_token"])
    eve.ask("POST", "/documents", 403, json=DOCUMENT)
    assert ann.ask("PATCH", "/users/eve1@company_1", json={"role": "analyst"})["role"] == "analyst"
    eve.ask("POST", "/documents", 201, json=DOCUMENT)
    ann.ask("PATCH", "/users/eve1@company_1", json={"is_active": False})
    eve.ask("GET", "/documents", 401)
    assert ann.bytes("PATCH", "/users/ann2", 404, json={}) == ann.bytes("PATCH", "/users/nobody", 404, json={})
    ann.ask("PATCH", "/users/ann1", 403, json={"role": "super_admin"})


@pytest.mark.ledger("S3-051", "S3-M01.3")
def test_no_company_learns_of_anothers_people(people: dict[str, Client]) -> None:
    # Whom another company has, by name and by address, and whom nobody has.
    for name, email in (("bob2", "bob2@x.example"), ("zoe", "zoe@x.example")):
        for number in (1, 2):
            given = {"username": name, "email": email, "password": PASSWORD, "role": "viewer"}
            if (name, number) == ("bob2", 2):
                people["ann2"].ask("POST", "/users", 409, json=given)
                continue
            made = people[f"ann{number}"].ask("POST", "/users", 201, json=given)
            assert (made["username"], made["email"]) == (f"{name}@company_{number}", email)
    # Nor does one take a name that another would give.
    taken = {"username": "kim@company_2", "email": "kim@x.example", "password": PASSWORD, "role": "viewer"}
    assert people["ann1"].ask("POST", "/users", 201, json=taken)["username"] == "kim@company_2@company_1"
    assert people["ann2"].ask("POST", "/users", 201, json={**taken, "username": "kim"})["username"] == "kim@company_2"


@pytest.mark.ledger("S3-051")
def test_log_ins_come_and_go(people: dict[str, Client], http: TestClient) -> None:
    nobody = people["nobody"]
    nobody.ask("POST", "/auth/login", 401, json={"username": "vic2", "password": "wrong"})
    first = nobody.ask("POST", "/auth/login", json={"username": "vic2", "password": PASSWORD})
    second = nobody.ask("POST", "/auth/refresh", json={"refresh_token": first["refresh_token"]})
    vic = Client(http, second["access_token"])
    vic.ask("POST", "/auth/logout", 204)
    vic.ask("GET", "/me", 401)
    nobody.ask("POST", "/auth/refresh", 401, json={"refresh_token": second["refresh_token"]})
    chosen = uuid.uuid4().hex
    nobody.ask("POST", "/auth/password", 204, json={"username": "vic2", "password": PASSWORD, "new_password": chosen})
    nobody.ask("POST", "/auth/login", 401, json={"username": "vic2", "password": PASSWORD})
    nobody.ask("POST", "/auth/login", json={"username": "vic2", "password": chosen})


@pytest.mark.ledger("S3-004")
def test_the_platform_makes_closes_and_looks_into_companies(people: dict[str, Client], http: TestClient) -> None:
    root = people["root"]
    made = root.ask("POST", "/admin/companies", 201, json={"name": "Third", "industry": "Hospitality"})
    assert (made["id"], made["database_name"]) == (3, "company_3.db")
    root.ask("POST", "/admin/companies", 409, json={"name": "Third"})
    assert root.ask("GET", "/admin/companies")["total"] == 3
    for told in ({}, {"reason": "x", "role": "king"}, {"reason": "x", "minutes": 61}):
        root.ask("POST", "/admin/companies/2/look", 422, json=told)
    token = root.ask("POST", "/admin/companies/2/look", 201, json={"reason": "ticket 4711"})["access_token"]
    look = Client(http, token)
    people["ann2"].ask("POST", "/documents", 201, json={**DOCUMENT, "filename": "looked at.pdf"})
    assert "looked at.pdf" in {each["filename"] for each in look.ask("GET", "/documents")["items"]}
    look.ask("POST", "/documents", 403, json=DOCUMENT)
    look.ask("GET", "/admin/companies", 403)
    # It is a viewer there, who sees no conversation but its own.
    people["ann2"].ask("POST", "/conversations", 201, json={"title": "private"})
    assert look.ask("GET", "/conversations")["total"] == 0
    root.ask("POST", "/admin/companies/2/close")
    people["ann2"].ask("GET", "/documents", 401)
    root.ask("POST", "/admin/companies/2/reopen")
    people["ann2"].ask("GET", "/documents")
    assert root.bytes("POST", "/admin/companies/99/look", 404, json={"reason": "x"})


@pytest.mark.ledger("S3-004", "S3-020")
def test_nobody_of_a_company_does_what_is_the_platforms(people: dict[str, Client], http: TestClient) -> None:
    paths = [path for path in people["nobody"].ask("GET", "/openapi.json")["paths"] if path.startswith("/admin/")]
    assert len(paths) == 4
    given = {"json": {"name": "Own", "reason": "mine"}}
    looked = people["root"].ask("POST", "/admin/companies/1/look", 201, json={"reason": "x", "role": "admin"})
    insiders = {name: people[name] for name in ("ann1", "bob1", "vic1")}
    for name, who in {**insiders, "the look": Client(http, looked["access_token"])}.items():
        for path in paths:
            # The own company, another's, and one that is not there.
            told = {who.bytes("POST", path.format(company_id=number), 403, **given) for number in (1, 2, 99)}
            assert len(told) == 1, (name, path)
    assert people["root"].ask("GET", "/admin/companies")["items"][1]["is_active"]


@pytest.mark.ledger("S3-051")
def test_the_description_says_where_no_token_is_needed(http: TestClient) -> None:
    told = Client(http).ask("GET", "/openapi.json")
    assert {path for path in told["paths"] if told["paths"][path].get("post", {}).get("security") == []} == set(PUBLIC)
    operations = [each for path in told["paths"].values() for each in path.values()]
    assert all(each["summary"] and each.get("description", each["summary"]) for each in operations)
    assert told["components"]["schemas"]["Credentials"]["properties"]["username"]["examples"] == ["ann"]
