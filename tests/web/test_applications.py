"""web.application: several tenancies on one port, each behind its own middleware, answered and described alike."""

import secrets
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import select

from tenantry import AsyncTenantSession, Tenancy
from tenantry.access import Access, Accounts, TokenKey, Tokens
from tenantry.errors import RecordNotFound
from tenantry.web import application, from_header, permitted, tenant_session

from .models import Base, Ticket

PASSWORD = secrets.token_urlsafe(16)
SYSTEMS = ("helpdesk", "meetings")


def router_of(tenancy: Tenancy) -> APIRouter:
    router = APIRouter()

    @router.get("/tickets")
    async def tickets(db: Annotated[AsyncTenantSession, Depends(tenant_session(tenancy))]) -> list[str]:
        return list(await db.scalars(select(Ticket.subject)))

    @router.get("/tickets/{ticket}")
    async def ticket(ticket: uuid.UUID, db: Annotated[AsyncTenantSession, Depends(tenant_session(tenancy))]) -> str:
        found = await db.get(Ticket, ticket)
        if found is None:
            raise RecordNotFound(model="Ticket")
        return found.subject

    @router.post("/login")
    async def log_in() -> str:
        return "come in"

    @router.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout", headers={"X-Handle": "here"})

    @router.get("/guarded", dependencies=[Depends(permitted("tickets:read"))])
    async def guarded() -> str:
        return "in"

    @router.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("secret words")

    return router


class System:
    """One of the systems on the port: a tenancy of its own, a tenant called like it, and its tokens."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.tenancy = Tenancy(f"sqlite:///{directory}", models=Base)
        self.accounts = Accounts(self.tenancy)
        keys = [TokenKey(name, secrets.token_bytes(32))]
        self.tokens = Tokens(keys, issuer=f"https://{name}.example", audience=name)
        self.access = Access(self.tenancy, tokens=self.tokens, accounts=self.accounts)
        self.tenancy.install(create_tables=True)
        self.tenant = self.tenancy.tenants.create("acme")
        with self.tenancy.transaction("acme") as db:
            db.add(made := Ticket(subject=f"of {name}"))
            db.flush()
            self.ticket = made.id

    def app(self, **options: Any) -> FastAPI:
        given = {"tokens": self.tokens, "title": self.name.title(), "public": ["/login"], **options}
        return application(self.tenancy, [router_of(self.tenancy)], **given)

    def headers(self, **more: str) -> dict[str, str]:
        token = self.tokens.issue("ann", tenant=self.tenant.id, roles=["viewer"])
        return {"Authorization": f"Bearer {token}", **more}


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, System]]:
    with ExitStack() as ends:
        found = {name: System(name, tmp_path_factory.mktemp(name)) for name in SYSTEMS}
        for system in found.values():
            ends.callback(system.tenancy.close)
        yield found


@pytest.fixture(params=["alone", "mounted"])
def client(request: pytest.FixtureRequest, systems: dict[str, System]) -> Iterator[tuple[TestClient, str, System]]:
    """The helpdesk, alone or beside another below one application, and the path that it is at."""
    helpdesk = systems["helpdesk"]
    if request.param == "alone":
        with TestClient(helpdesk.app(), raise_server_exceptions=False) as client:
            yield client, "", helpdesk
        return
    whole = FastAPI()
    for name, system in systems.items():
        whole.mount(f"/{name}", system.app())
    with TestClient(whole, raise_server_exceptions=False) as client:
        yield client, "/helpdesk", helpdesk
        for system in systems.values():
            client.portal.call(system.tenancy.aio.close)  # type: ignore[union-attr]  # open while the client is


def test_each_serves_its_own_tenants_with_its_own_tokens(client: Any, systems: dict[str, System]) -> None:
    client, root, helpdesk = client
    answer = client.get(f"{root}/tickets", headers=helpdesk.headers())
    assert (answer.status_code, answer.json()) == (200, ["of helpdesk"])
    assert answer.headers["x-request-id"]
    if root:
        other = client.get("/meetings/tickets", headers=systems["meetings"].headers())
        assert other.json() == ["of meetings"]
    foreign = client.get(f"{root}/tickets", headers=systems["meetings"].headers())
    assert (foreign.status_code, foreign.json()["code"]) == (401, "unauthorized")


def test_errors_are_answered_alike(client: Any) -> None:
    client, root, helpdesk = client
    known = helpdesk.headers()
    answers = {
        path: client.get(f"{root}{path}", headers=known)
        for path in (f"/tickets/{uuid.uuid4()}", "/nowhere", "/teapot", "/tickets/x", "/guarded", "/bug")
    }
    answers["nobody"] = client.get(f"{root}/tickets")
    answers["method"] = client.delete(f"{root}/tickets", headers=known)
    told = {path: (answer.status_code, answer.json()["code"]) for path, answer in answers.items()}
    missing, nowhere, teapot, malformed, guarded, bug, nobody, method = told.values()
    assert missing == nowhere == (404, "not_found")
    assert teapot == (418, "im_a_teapot")
    assert (malformed, guarded, bug) == ((422, "invalid"), (403, "forbidden"), (500, "internal"))
    assert (nobody, method) == ((401, "unauthorized"), (405, "method_not_allowed"))
    for answer in answers.values():
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert "secret words" not in answer.text
    contents = [answer.content for path, answer in answers.items() if told[path] == missing]
    assert contents[0] == contents[1]
    assert (answers["/teapot"].json()["detail"], answers["/teapot"].headers["x-handle"]) == ("short and stout", "here")
    assert answers["method"].headers["allow"] == "GET"


def test_health_and_the_log_in_ask_nobody(client: Any) -> None:
    client, root, _ = client
    stale = {"Authorization": "Bearer of.long.ago"}
    health = client.get(f"{root}/health", headers=stale)
    assert (health.status_code, health.json()) == (200, {"status": "healthy", "servers": {"main": "healthy"}})
    assert client.post(f"{root}/login", headers=stale).json() == "come in"
    assert client.get(f"{root}/tickets", headers=stale).status_code == 401


def test_the_description_says_who_needs_a_token(client: Any) -> None:
    client, root, _ = client
    described = client.get(f"{root}/openapi.json").json()
    assert described["info"]["title"] == "Helpdesk"
    assert described.get("servers", [{"url": ""}]) == [{"url": root}]
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert described["security"] == [{"bearer": []}]
    paths = described["paths"]
    assert paths["/health"]["get"]["security"] == paths["/login"]["post"]["security"] == []
    assert "security" not in paths["/tickets"]["get"]
    assert "application/problem+json" in paths["/tickets/{ticket}"]["get"]["responses"]["4XX"]["content"]
    assert client.get(f"{root}/docs").status_code == 200


def test_health_says_which_server_is_gone(tmp_path: Path) -> None:
    system = System("lost", tmp_path / "lost")
    with TestClient(system.app()) as client:
        system.tenancy.close()
        (tmp_path / "lost" / "catalog.sqlite3").unlink()
        answer = client.get("/health")
    assert (answer.status_code, answer.json()["servers"]) == (503, {"main": "unhealthy"})
    assert "sqlite" not in answer.text


def test_access_also_asks_whether_the_log_in_stands(systems: dict[str, System]) -> None:
    system = systems["meetings"]
    with system.tenancy.platform() as platform:
        system.accounts.create(platform, "ida", password=PASSWORD, tenant=system.tenant.id, roles=["viewer"])
        platform.commit()
    pair = system.access.log_in("ida", PASSWORD)
    headers = {"Authorization": f"Bearer {pair.access}"}
    with TestClient(system.app(access=system.access)) as client:
        before = client.get("/tickets", headers=headers)
        system.access.log_out(system.access.verify(pair.access))
        after = client.get("/tickets", headers=headers)
    assert (before.status_code, after.status_code) == (200, 401)


def test_resolvers_beside_the_token_must_agree(systems: dict[str, System]) -> None:
    system = systems["helpdesk"]
    system.tenancy.tenants.create("globex")
    with TestClient(system.app(resolvers=[from_header("X-Tenant")])) as client:
        same = client.get("/tickets", headers=system.headers(**{"X-Tenant": "acme"}))
        other = client.get("/tickets", headers=system.headers(**{"X-Tenant": "globex"}))
        alone = client.get("/tickets", headers={"X-Tenant": "acme"})
    assert [answer.status_code for answer in (same, other, alone)] == [200, 403, 401]


def test_the_applications_own_lifespan_runs_inside(systems: dict[str, System]) -> None:
    noted: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        noted.append(app.title)
        yield
        noted.append("over")

    with TestClient(systems["helpdesk"].app(lifespan=lifespan)):
        assert noted == ["Helpdesk"]
    assert noted == ["Helpdesk", "over"]
