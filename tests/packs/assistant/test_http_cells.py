"""The assistant's routes in every cell, through the driver that serves requests there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tenantry.packs.assistant import PUBLIC, router
from tenantry.web import application

from .cells import PASSWORD, PLACES, Ground, Place

AWAITED = [place for place in PLACES if place.door != "sync"]


@pytest.fixture(scope="module")
def clients(ground: Ground) -> Iterator[dict[str, TestClient]]:
    """An application for each driver."""
    found = {}
    for name, pack in ground.packs.items():
        access = pack.access
        app = application(
            pack.tenancy, [router(pack)], tokens=access.tokens, access=access, title="Assistant", public=PUBLIC
        )
        found[name] = TestClient(app)
    for client in found.values():
        client.__enter__()
    yield found
    for client in found.values():
        client.__exit__(None, None, None)


@pytest.mark.ledger("S3-002", "S3-003")
@pytest.mark.parametrize("place", AWAITED, ids=str)
def test_a_company_in_each_cell_is_served_its_own(ground: Ground, clients: dict[str, TestClient], place: Place) -> None:
    pack = ground.pack(place)
    client = clients[next(name for name, one in ground.packs.items() if one is pack)]

    def ask(user: str, method: str, path: str, **options: Any) -> Any:
        return client.request(method, path, headers={"Authorization": f"Bearer {tokens[user]}"}, **options)

    tokens = {}
    for side in ("acme", "rival"):
        told = {"username": f"ann{place.company(side)}", "password": PASSWORD}
        tokens[side] = client.post("/auth/login", json=told).json()["access_token"]
    before = {side: ask(side, "GET", "/documents").json() for side in tokens}
    assert [each["total"] for each in before.values()] == [2, 2]
    given = {"filename": "own.pdf", "file_path": "own.pdf", "scope": "company"}
    made = ask("acme", "POST", "/documents", json=given)
    assert made.status_code == 201, made.text
    path = f"/documents/{made.json()['id']}"
    assert ask("acme", "POST", f"{path}/begin").json()["processing_status"] == "processing"
    done = ask("acme", "POST", f"{path}/complete", json={"pieces": [{"content": "wind"}]})
    assert done.json()["is_processed"]
    assert ask("rival", "GET", path).content == ask("rival", "GET", "/documents/2147483647").content
    assert [ask(side, "GET", "/documents").json()["total"] for side in tokens] == [3, 2]
    assert ask("acme", "DELETE", path).status_code == 204
    assert ask("acme", "GET", "/documents").json() == before["acme"]
