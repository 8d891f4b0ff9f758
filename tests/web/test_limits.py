"""Rates, idempotency and permissions as one line of a route."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from cells import Ground, Place
from fastapi import Depends, FastAPI

from tenantry.access import TokenKey, Tokens
from tenantry.web import TenancyMiddleware, from_jwt, permitted

from .conftest import DRIVERS, subjects
from .serving import Server, serving
from .shop import RATE, Parts
from .tokens import Signed


@pytest.mark.parametrize("place", DRIVERS, ids=str)
def test_a_rate_is_the_tenants_own(place: Place, shop: Server, parts: Callable[[str], Parts]) -> None:
    near, far = f"near-{place.cell}", f"far-{place.cell}"
    for slug in (near, far):
        parts(place.door).rates.reset(slug, "api")
    answers = [shop.get("/limited", x_tenant=near) for _ in range(RATE.count + 2)]
    assert [answer.status for answer in answers] == [200] * RATE.count + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= RATE.per
    assert shop.get("/limited", x_tenant=far).status == 200
    assert shop.get("/limited").status == 401


@pytest.mark.parametrize("place", DRIVERS, ids=str)
@pytest.mark.parametrize("path", ["/once", "/once/sync"])
def test_a_request_that_is_repeated_takes_effect_once(place: Place, shop: Server, ground: Ground, path: str) -> None:
    near, key, content = (
        f"near-{place.cell}",
        uuid.uuid4().hex,
        {"subject": uuid.uuid4().hex},
    )
    first, again = (shop.post(path, content, x_tenant=near, idempotency_key=key) for _ in range(2))
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert (
        "idempotency-replayed" in first.headers,
        again.headers["idempotency-replayed"],
    ) == (False, "true")
    assert subjects(ground, place).count(content["subject"]) == 1
    other = shop.post(path, {"subject": "another"}, x_tenant=near, idempotency_key=key)
    assert (other.status, other.json()["code"]) == (422, "idempotency_key_reused")
    # A key is one tenant's and one path's, and has to be there.
    assert shop.post(path, content, x_tenant=f"far-{place.cell}", idempotency_key=key).status == 201
    assert shop.post(path, content, x_tenant=near, idempotency_key=uuid.uuid4().hex).status == 409
    assert shop.post(path, content, x_tenant=near).status == 422


def test_a_request_that_failed_may_be_repeated(place: Place, shop: Server, ground: Ground) -> None:
    near, key, taken = (
        f"near-{place.cell}",
        uuid.uuid4().hex,
        {"subject": f"near-{place.cell}"},
    )
    refused = [shop.post("/once", taken, x_tenant=near, idempotency_key=key).status for _ in range(2)]
    assert refused == [409, 409]
    with ground.session(Place(place.cell, "sync")) as door:
        found = door.session.execute(ground.made(Place(place.cell, "sync")).idempotency.keys.table.select()).all()
    assert key not in {row.key for row in found}


def test_another_actor_is_another_request(serve: Callable[..., Server], tokens: Signed) -> None:
    server, key = serve("aiosqlite"), uuid.uuid4().hex
    for actor in ("ann", "bob"):
        bearer = f"Bearer {tokens.issue(actor, 'near-sqlite-file')}"
        content = {"subject": uuid.uuid4().hex}
        answer = server.post("/once", content, authorization=bearer, idempotency_key=key)
        assert (answer.status, "idempotency-replayed" in answer.headers) == (201, False)


def test_a_route_asks_for_a_permission(parts: Callable[[str], Parts]) -> None:
    tenancy = parts("aiosqlite").tenancy
    tokens = Tokens([TokenKey.new("now")], issuer="https://a", audience="https://b")
    app = FastAPI()
    app.add_middleware(TenancyMiddleware, tenancy=tenancy, resolvers=[from_jwt(tokens)])

    @app.get("/documents", dependencies=[Depends(permitted("documents:delete"))])
    async def read() -> str:
        return "read"

    tenant = tenancy.tenants.get("near-sqlite-file").id
    bearers = {role: f"Bearer {tokens.issue('ann', tenant=tenant, roles=[role])}" for role in ("admin", "viewer")}
    with serving(app) as server:
        statuses = {role: server.get("/documents", authorization=bearer).status for role, bearer in bearers.items()}
        assert statuses == {"admin": 200, "viewer": 403}
        assert server.get("/documents").status == 401
