"""A websocket is bound for its life, and refused at the door with an answer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cells import Ground, Place
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from .serving import SECONDS, Server
from .tokens import Signed


def live(server: Server, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"ws://127.0.0.1:{server.port}/live"
    return connect(
        url,
        additional_headers=named,
        open_timeout=SECONDS,
        close_timeout=SECONDS,
        proxy=None,
    )


def test_a_websocket_keeps_its_tenant(place: Place, shop: Server) -> None:
    near, far = f"near-{place.cell}", f"far-{place.cell}"
    with live(shop, x_tenant=near) as one, live(shop, x_tenant=far) as other:
        for _ in range(3):
            for line, own, foreign in ((one, near, far), (other, far, near)):
                line.send("what do you see?")
                told = json.loads(line.recv(SECONDS))
                assert {told["carried"], told["ambient"], told["bound"]} == {own}
                assert own in told["subjects"]
                assert foreign not in told["subjects"]
                # Requests come and go beside it.
                assert shop.get("/async", x_tenant=foreign).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x_tenant": "nobody"}, 404),
        ({"x_tenant": "near-sqlite-file"}, 403),
        ({"authorization": "Bearer forged"}, 401),
    ],
)
def test_a_websocket_is_refused_with_an_answer(
    serve: Callable[..., Server], tokens: Signed, headers: dict[str, str], status: int
) -> None:
    server = serve("aiosqlite")
    if status == 403:
        headers = {
            **headers,
            "authorization": f"Bearer {tokens.issue('ann', 'far-sqlite-file')}",
        }
    with pytest.raises(InvalidStatus) as refused, live(server, **headers):
        pass
    response = refused.value.response
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert json.loads(response.body)["status"] == status


def test_a_tenant_that_is_suspended_meanwhile_gets_no_more(
    serve: Callable[..., Server], ground: Ground, parts, tokens: Signed
) -> None:
    tenancy = parts("aiosqlite").tenancy
    tenancy.tenants.create("leaving")
    with live(serve("aiosqlite"), authorization=f"Bearer {tokens.issue('ann', 'leaving')}") as line:
        line.send("first")
        assert json.loads(line.recv(SECONDS))["bound"] == "leaving"
        tenancy.tenants.suspend("leaving")
        line.send("second")
        with pytest.raises(ConnectionClosedError) as closed:
            line.recv(SECONDS)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        1008,
        "tenant_suspended",
    )
