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


def test_each_request_is_its_own_tenants(client: TestClient, tokens: Tokens) -> None:
    headers = {}
    for name in ("acme", "globex"):
        made = client.post("/sign-up", params={"name": name, "team": f"T-{name}"})
        assert made.status_code == 201
        tenant = door.tenancy.tenants.get(("team", f"T-{name}"))
        assert made.json() == str(tenant.id)
        with door.transaction(tenant) as db:
            db.add(Note(text=f"of {name}"))
        headers[name] = {"Authorization": f"Bearer {tokens.issue('ann', tenant=tenant.id)}"}
    for route in ("/plain", "/awaited", "/bare") * 2:
        for name, token in headers.items():
            assert client.get(route, headers=token).json() == [f"of {name}"]
    # What a request before has left behind serves nobody.
    refused = client.get("/unasked", headers=headers["acme"])
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    again = client.post("/sign-up", params={"name": "acme", "team": "T-acme"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
