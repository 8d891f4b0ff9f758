"""A cache between that serves many people keeps no tenant's answer for another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .serving import Answer, Server
from .tokens import Signed

NEAR, FAR = "near-sqlite-rows", "far-sqlite-rows"


class SharedCache:
    """Keeps what RFC 9111 lets a shared cache keep (sections 3, 3.5 and 4.1), and what is *careless* beyond that."""

    def __init__(self, server: Server, *, careless: bool = False) -> None:
        self.served = 0
        self._server = server
        self._careless = careless
        self._kept: list[tuple[str, dict[str, str], Answer]] = []

    def get(self, path: str, **headers: str) -> Answer:
        for kept_path, asked, answer in self._kept:
            if kept_path == path and all(headers.get(name) == asked.get(name) for name in self._decisive(answer)):
                self.served += 1
                return answer
        answer = self._server.get(path, **headers)
        if self._may_keep(answer, headers):
            self._kept.append((path, headers, answer))
        return answer

    def _decisive(self, answer: Answer) -> list[str]:
        named = [] if self._careless else answer.headers.get("vary", "").lower().replace("-", "_").split(", ")
        return [name for name in named if name]

    def _may_keep(self, answer: Answer, headers: dict[str, str]) -> bool:
        said = answer.headers.get("cache-control", "")
        if self._careless:
            return True
        return "private" not in said and "no-store" not in said and ("authorization" not in headers or "public" in said)


@pytest.fixture
def told(serve: Callable[..., Server], tokens: Signed) -> Callable[..., list[str]]:
    """What near and far are told in turn, each named in the same way, through one cache."""

    def ask(cache: SharedCache, path: str, how: str) -> list[str]:
        named = {
            "x_tenant": {NEAR: NEAR, FAR: FAR},
            "authorization": {side: f"Bearer {tokens.issue('ann', side)}" for side in (NEAR, FAR)},
        }[how]
        return [cache.get(path, **{how: named[side]}).json()["slug"] for side in (NEAR, FAR, NEAR)]

    return ask


@pytest.mark.parametrize("how", ["x_tenant", "authorization"])
@pytest.mark.parametrize(("path", "served"), [("/who", 0), ("/greeting", 1)], ids=["silent", "public"])
def test_a_shared_cache_mixes_no_tenants(
    serve: Callable[..., Server], told: Callable[..., list[str]], path: str, served: int, how: str
) -> None:
    """A route that says nothing of caches is kept by none; one that wants to be kept is, for its own tenant alone."""
    cache = SharedCache(serve("aiosqlite"))
    assert told(cache, path, how) == [NEAR, FAR, NEAR]
    assert cache.served == served


def test_a_cache_that_does_not_listen_would_mix_them(
    serve: Callable[..., Server], told: Callable[..., list[str]]
) -> None:
    assert told(SharedCache(serve("aiosqlite"), careless=True), "/who", "x_tenant") == [NEAR, NEAR, NEAR]


def test_what_is_nobodys_is_left_to_the_route(serve: Callable[..., Server]) -> None:
    """Answers to nobody, such as a style sheet, are kept as ever."""
    assert "cache-control" not in serve("aiosqlite").get("/open").headers
