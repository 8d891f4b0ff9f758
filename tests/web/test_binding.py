"""A request is bound to one tenant: that of all its resolvers, whatever requests came before on its connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from cells import Ground, Place

from .conftest import shop_of, subjects
from .serving import Server, request, serving
from .shop import Parts
from .tokens import Signed

_left_behind: ContextVar[str | None] = ContextVar("left_behind", default=None)


def pipelined(server: Server, place: Place, path: str, count: int) -> list[str]:
    """Sends requests of two tenants and of none in turn on one connection, and returns what was wrong."""
    sides = ["near", "far", None]
    slugs = [f"{side}-{place.cell}" if (side := sides[turn % 3]) else None for turn in range(count)]
    answers = server.ask(*(request("GET", path, **({"x-tenant": slug} if slug else {})) for slug in slugs))
    wrong = []
    for slug, answer in zip(slugs, answers, strict=True):
        other = {"near": "far", "far": "near"}.get(slug[: -len(place.cell) - 1]) if slug else None
        if slug is None:
            wrong += [] if answer.status == 401 else [f"no tenant: {answer}"]
        elif answer.status != 200:
            wrong.append(f"{slug}: {answer}")
        else:
            told = answer.json()
            right = {told["carried"], told["ambient"], told["bound"]} == {slug} and slug in told["subjects"]
            wrong += [] if right and f"{other}-{place.cell}" not in told["subjects"] else [f"{slug}: {told}"]
    return wrong


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_pipelined_requests_see_their_own_tenant(place: Place, shop: Server, path: str) -> None:
    assert pipelined(shop, place, path, 12) == []


@pytest.mark.soak
@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_a_thousand_pipelined_requests(
    serve: Callable[..., Server],
    http: str,
    path: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for door, cell in (("psycopg", "postgresql-rows"), ("aiosqlite", "sqlite-rows")):
        server, place = serve(door, http), Place(cell, door)
        wrong = [each for _ in range(20) for each in pipelined(server, place, path, 50)]
        with capsys.disabled():
            print(f"\n{http} {path} {door}: {len(wrong)} of 1,000 saw another's tenant")
        assert wrong == []


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_context_variables_alone_are_inherited(http: str) -> None:
    """The control: a pipelined request finds the variable as its predecessor left it, unless somebody overwrites it."""

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        found = _left_behind.get()
        _left_behind.set("somebody's")
        await asyncio.sleep(0)
        body = str(found).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    with serving(bare, http=http) as server:
        answers = server.ask(*[request("GET", "/")] * 10)
    assert b"somebody's" in {answer.body for answer in answers}


def test_an_open_route_after_another_request_has_no_tenant(place: Place, shop: Server) -> None:
    near = request("GET", "/async", x_tenant=f"near-{place.cell}")
    answers = shop.ask(near, request("GET", "/open"), near, request("GET", "/open"))
    assert [answer.status for answer in answers] == [200] * 4
    assert [answers[1].json(), answers[3].json()] == [{"ambient": None}] * 2


def test_a_tenant_set_in_a_sync_dependency_counts_for_nothing(
    serve: Callable[..., Server],
) -> None:
    server = serve("aiosqlite")
    assert server.get("/misled", x_tenant="near-sqlite-file").json() == "near-sqlite-file"
    assert server.get("/misled").status == 401


def test_one_session_serves_a_request(serve: Callable[..., Server]) -> None:
    assert serve("aiosqlite").get("/twice", x_tenant="near-sqlite-file").json() is True


def test_resolvers_that_agree_are_one_voice(place: Place, shop: Server, ground: Ground, tokens: Signed) -> None:
    slug = f"near-{place.cell}"
    tenant = str(ground.tenancy(Place(place.cell, "sync")).tenants.get(slug).id)
    token = tokens.issue("ann", tenant)
    answer = shop.get(
        "/who",
        authorization=f"Bearer {token}",
        x_tenant=slug,
        host=f"{slug}.example.com:8000",
    )
    assert (answer.status, answer.json()["slug"], answer.json()["actor"]) == (
        200,
        slug,
        "ann",
    )


def test_resolvers_that_disagree_get_nothing(place: Place, shop: Server, tokens: Signed) -> None:
    near, far = f"near-{place.cell}", f"far-{place.cell}"
    bearer = {"authorization": f"Bearer {tokens.issue('ann', near)}"}
    refused = [
        shop.get("/who", **bearer, x_tenant=far),
        shop.get("/who", **bearer, host=f"{far}.example.com"),
        shop.get("/who", **bearer, x_tenant="nobody-has-this"),
        shop.get("/who", x_tenant=near, host=f"{far}.example.com"),
        shop.get(f"/t/{far}/who", **bearer),
        shop.get("/who", authorization=f"Bearer {tokens.issue('root', None)}", x_tenant=near),
    ]
    assert [answer.status for answer in refused] == [403] * 6
    # Another's tenant and none at all look the same.
    assert len({answer.body for answer in refused}) == 1


def test_a_header_sent_twice_names_nobody(place: Place, shop: Server) -> None:
    twice = request("GET", "/who", x_tenant=f"near-{place.cell}").replace(
        b"\r\n\r\n", f"\r\nX-Tenant: far-{place.cell}\r\n\r\n".encode(), 1
    )
    (answer,) = shop.ask(twice)
    assert answer.status == 403


def test_a_body_never_chooses_the_tenant(place: Place, shop: Server, ground: Ground) -> None:
    far = ground.tenancy(Place(place.cell, "sync")).tenants.get(f"far-{place.cell}")
    before = subjects(ground, place, "far")
    content = {"subject": "smuggled", "tenant_id": str(far.id)}
    answer = shop.post("/tickets", content, x_tenant=f"near-{place.cell}")
    assert (answer.status, answer.json()["code"]) == (422, "tenant_mismatch")
    assert shop.post("/tickets", content).status == 401
    assert subjects(ground, place, "far") == before
    assert "smuggled" not in subjects(ground, place)


def test_what_outlives_a_route_stays_with_its_tenant(place: Place, shop: Server) -> None:
    slugs = [f"{side}-{place.cell}" for side in ("near", "far")] * 2
    answers = shop.ask(*(request("GET", "/stream", x_tenant=slug) for slug in slugs))
    for slug, answer in zip(slugs, answers, strict=True):
        told = [json.loads(line) for line in answer.body.splitlines()]
        assert [(ambient, bound) for ambient, bound, _ in told] == [(slug, slug)] * 3
        assert all(set(found) & set(slugs) == {slug} for *_, found in told)


def test_tasks_and_threads_stay_with_their_tenant(place: Place, shop: Server) -> None:
    slugs = [f"{side}-{place.cell}" for side in ("near", "far")] * 3
    answers = shop.ask(*(request("GET", "/aside", x_tenant=slug) for slug in slugs))
    for slug, answer in zip(slugs, answers, strict=True):
        in_thread, in_executor, (ambient, bound, found) = answer.json()
        assert (in_thread, in_executor, ambient, bound) == (slug, None, slug, slug)
        assert set(found) & set(slugs) == {slug}


def test_background_tasks_stay_with_their_tenant(parts: Callable[[str], Parts], tokens: Signed) -> None:
    app, slugs = (
        shop_of(parts("psycopg"), tokens),
        ["near-postgresql-rows", "far-postgresql-rows"] * 3,
    )
    with serving(app) as server:
        answers = server.ask(*(request("GET", "/background", x_tenant=slug) for slug in slugs))
    # The server has stopped, so they have run.
    assert [answer.status for answer in answers] == [200] * len(slugs)
    assert sorted((ambient, bound) for ambient, bound, _ in app.state.noted) == sorted((slug, slug) for slug in slugs)
    assert all(set(found) & set(slugs) == {bound} for _, bound, found in app.state.noted)
