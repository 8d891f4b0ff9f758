"""Doors inside requests: two tenants' requests at once, in plain and async routes, and a sign-up without a tenant."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.access import TokenKey, Tokens
from tenantry.doors import Door
from tenantry.web import application

from .models import IDENTITIES, Base, Note, Workspace

TEAMS = ("T-acme", "T-globex", "T-nobody")
door: Door[Any] = Door("requests", Base, identities=IDENTITIES)
router = APIRouter()


@router.get("/plain")
def plain() -> list[str]:
    with door.session() as db:
        return [note.text for note in db.query(Note).all()]


@router.get("/awaited")
async def awaited() -> list[str]:
    async with door.aio.session() as db:
        await asyncio.sleep(0)
        return list(await db.scalars(select(Note.text)))


@router.get("/bare")
async def bare() -> list[str]:
    notes = door.repository_calls()
    return await notes.run_sync(lambda db: [note.text for note in db.query(Note)])


@router.get("/of/{team}")
def of_team(team: str) -> list[str]:
    with door.session(("team", team)) as db:
        return [note.text for note in db.query(Note).all()]


@router.get("/of/{team}/awaited")
async def of_team_awaited(team: str) -> list[str]:
    async with door.aio.session(("team", team)) as db:
        return list(await db.scalars(select(Note.text)))


@router.get("/of/{team}/bare")
async def of_team_bare(team: str) -> list[str]:
    notes = door.repository_calls(("team", team))
    return await notes.run_sync(lambda db: [note.text for note in db.query(Note)])


@router.get("/asked/{team}")
def asked(team: str) -> list[str]:
    with door.session() as db:
        db.query(Workspace).filter(Workspace.team_id == team).one_or_none()
        return [note.text for note in db.query(Note).all()]


@router.get("/asked/{team}/awaited")
async def asked_awaited(team: str) -> list[str]:
    async with door.aio.session() as db:
        await db.scalars(select(Workspace).where(Workspace.team_id == team))
        return list(await db.scalars(select(Note.text)))


@router.post("/sign-up", status_code=201)
def sign_up(name: str, team: str) -> str:
    with door.transaction() as db:
        db.add(made := Workspace(name=name, team_id=team))
    return str(made.id)


@router.get("/unasked")
def unasked() -> list[str]:
    return plain()


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens([TokenKey("1", secrets.token_bytes(32))], issuer="https://id.example", audience="doors")


@pytest.fixture(scope="module")
def client(tokens: Tokens, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    tenancy = Tenancy(f"sqlite:///{tmp_path_factory.mktemp('requests')}", models=Base)
    tenancy.install(create_tables=True)
    door.use(tenancy)
    app = application(tenancy, [router], tokens=tokens, title="Doors", public=["/sign-up", "/unasked"])
    with TestClient(app) as client:
        yield client
    door.reset()
    tenancy.close()


@pytest.fixture(scope="module")
def headers(client: TestClient, tokens: Tokens) -> dict[str, dict[str, str]]:
    """Of a request of each tenant's."""
    made = {}
    for name in ("acme", "globex"):
        signed_up = client.post("/sign-up", params={"name": name, "team": f"T-{name}"})
        assert signed_up.status_code == 201
        tenant = door.tenancy.tenants.get(("team", f"T-{name}"))
        assert signed_up.json() == str(tenant.id)
        with door.transaction(tenant) as db:
            db.add(Note(text=f"of {name}"))
        made[name] = {"Authorization": f"Bearer {tokens.issue('ann', tenant=tenant.id)}"}
    return made


def test_each_request_is_its_own_tenants(client: TestClient, headers: dict[str, dict[str, str]]) -> None:
    for route in ("/plain", "/awaited", "/bare") * 2:
        for name, token in headers.items():
            assert client.get(route, headers=token).json() == [f"of {name}"]
    # What a request before has left behind serves nobody.
    refused = client.get("/unasked", headers=headers["acme"])
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    again = client.post("/sign-up", params={"name": "acme", "team": "T-acme"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("route", ["/of/{}", "/of/{}/awaited", "/of/{}/bare"])
def test_a_request_opens_no_door_to_another_tenant(
    client: TestClient, headers: dict[str, dict[str, str]], route: str
) -> None:
    """What names the tenant came with the request, in functions that are handed no tenancy; names are not told."""
    own, foreign, nobodys = (client.get(route.format(team), headers=headers["acme"]) for team in TEAMS)
    assert own.json() == ["of acme"]
    assert (foreign.status_code, foreign.json()["code"]) == (403, "tenants_disagree")
    assert nobodys.content == foreign.content


@pytest.mark.parametrize("route", ["/asked/{}", "/asked/{}/awaited"])
def test_what_a_request_asks_for_binds_it_to_no_other(
    client: TestClient, headers: dict[str, dict[str, str]], route: str
) -> None:
    assert [client.get(route.format(team), headers=headers["acme"]).json() for team in TEAMS] == [["of acme"]] * 3


@pytest.mark.usefixtures("headers")
@pytest.mark.parametrize("who", ["nobody", "the platform"])
@pytest.mark.parametrize("route", ["/of/{}", "/of/{}/awaited", "/of/{}/bare", "/asked/{}", "/asked/{}/awaited"])
def test_who_has_no_tenant_finds_none_behind_a_door(client: TestClient, tokens: Tokens, route: str, who: str) -> None:
    """A missing token, and one without a tenant, pick none by what they ask for, as by no header."""
    told = {"Authorization": f"Bearer {tokens.issue('root', tenant=None)}"} if who == "the platform" else {}
    refused = [client.get(route.format(team), headers=told) for team in TEAMS]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(401, "unauthorized")}
