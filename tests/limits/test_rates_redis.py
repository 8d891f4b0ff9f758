"""Rates counted in a real Redis: the same rule, the same words, and what happens while it is down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from tenantry import Tenancy, errors
from tenantry.ids import uuid7
from tenantry.limits import Limit, Rates, TokenBucket
from tenantry.limits.rate_statements import Ask
from tenantry.limits.redis import RedisStore

from .clients import LONG
from .crowd import crowd
from .models import RULES, Base
from .redis_server import PROGRAM, RedisServer, redis_server
from .test_rates import BUCKETS, STEPS, Model

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed here"),
]


@pytest.fixture(scope="module", params=[False, True], ids=["single", "cluster"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), cluster=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def url(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the tenants of one server are found; their rows say nothing of rates here."""
    return f"sqlite:///{tmp_path_factory.mktemp('rates')}"


@pytest.fixture(scope="module")
def rates(server: RedisServer, url: str) -> Iterator[Rates]:
    tenancy = Tenancy(url, models=Base)
    store = RedisStore(server.url, cluster=server.cluster, timeout=10)
    rates = Rates(tenancy, limits=RULES, store=store)
    tenancy.install(create_tables=True)
    for slug in ("near", "far"):
        tenancy.tenants.create(slug)
    yield rates
    store.close()
    tenancy.close()


@pytest.fixture
def fresh() -> str:
    """The name of a resource that no other test asks for."""
    return f"resource {uuid7().hex}"


@pytest.mark.parametrize("resource", RULES)
def test_as_much_is_granted_as_there_is(rates: Rates, resource: str) -> None:
    told = [rates.consume("near", resource, cost=cost) for cost in (2, 2, 1, 1)]
    assert [(found.allowed, found.remaining) for found in told] == [(True, 1), (False, 1), (True, 0), (False, 0)]
    assert not rates.check("near", resource)
    assert (rates.peek("near", resource).remaining, rates.peek("far", resource).remaining) == (0, 3)
    with pytest.raises(errors.RateLimited):
        rates.consume_or_raise("near", resource)
    rates.reset("far", resource)
    assert rates.peek("near", resource).remaining == 0
    rates.reset("near", resource)
    assert rates.check("near", resource, cost=3)
    assert rates.prune("near") == 0


def test_both_doors_count_as_one(rates: Rates, fresh: str) -> None:
    rule = Limit(5, per=LONG)

    async def awaited() -> list[int]:
        left = [(await rates.aio.consume("near", fresh, limit=rule)).remaining for _ in range(2)]
        left.append((await rates.aio.peek("near", fresh, limit=rule)).remaining)
        await rates.aio.reset("near", fresh, limit=rule)
        await rates.store.aclose()  # type: ignore[attr-defined]  # a RedisStore
        await rates.tenancy.aio.close()
        return left

    assert rates.consume("near", fresh, limit=rule).remaining == 4
    assert asyncio.run(awaited()) == [3, 2, 2]
    assert rates.peek("near", fresh, limit=rule).remaining == 5


def test_it_counts_at_once_inside_a_session_too(rates: Rates, fresh: str) -> None:
    with rates.tenancy.session("near") as db:
        assert rates.consume(db, fresh, limit=Limit(5, per=LONG)).remaining == 4
        db.rollback()
    assert rates.peek("near", fresh, limit=Limit(5, per=LONG)).remaining == 4


@settings(max_examples=25, deadline=None)
@given(rule=BUCKETS, steps=STEPS)
def test_a_bucket_does_as_its_model(rates: Rates, rule: TokenBucket, steps: list[tuple[int, int]]) -> None:
    route, name, model = rates.tenancy.router.route("near"), f"modelled {uuid7().hex}", Model(rule)
    store: Any = rates.store
    for cost, aged in steps:
        ask = Ask(route.tenant.id, name, rule, cost)
        client, key = store._here().registered_client, store._key(ask)
        if client.exists(key):
            client.hincrby(key, "until", -aged)
            client.hincrby(key, "seen", -aged)
        state = store.decide(route, ask)
        assert state.granted == model.consume(cost, now=state.seen, aged=aged)[0]


def test_its_keys_go_by_themselves(rates: Rates, fresh: str) -> None:
    rule = Limit(5, per=60)
    rates.consume("near", fresh, limit=rule)
    store: Any = rates.store
    key = store._key(Ask(rates.tenancy.router.route("near").tenant.id, fresh, rule))
    assert 0 < store._here().registered_client.pttl(key) <= 61_000


@pytest.mark.parametrize("fail_open", [False, True])
def test_while_it_is_down_calls_are_refused_or_pass_as_chosen(tmp_path: Any, fail_open: bool) -> None:
    with redis_server(tmp_path) as server:
        tenancy = Tenancy(f"sqlite:///{tmp_path}/data", models=Base)
        rates = Rates(tenancy, limits=RULES, store=RedisStore(server.url), fail_open=fail_open)
        tenancy.install(create_tables=True)
        tenancy.tenants.create("acme")
        assert rates.consume("acme", "api").counted
        server.stop()
        if fail_open:
            assert rates.consume("acme", "api").allowed
            assert not rates.consume("acme", "api").counted
        else:
            with pytest.raises(errors.RatesUnavailable) as down:
                rates.consume("acme", "api")
            assert server.password not in str(down.value)
        server.start()
        assert rates.consume("acme", "api").remaining == 2
        rates.store.close()  # type: ignore[attr-defined]  # a RedisStore
        tenancy.close()


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["window", "bucket"])
def test_sixteen_clients_get_exactly_as_much_in_every_of_20_runs(
    rates: Rates, server: RedisServer, url: str, kind: str
) -> None:
    job = {"place": "redis", "key": "near", "kind": kind, "threads": 4, "asks": 20}
    place = {"url": url, "redis": server.url, "cluster": server.cluster}
    with crowd({"redis": place}, processes=4) as clients:
        told = [clients.storm(resource=f"run {run} {uuid7().hex}", count=200, **job) for run in range(20)]
    over = sum(max(found["granted"] - 200, 0) for found in told)
    lost = sum(max(200 - found["granted"], 0) for found in told)
    print(f"\nRedis, {kind}: 20 runs of 16 clients in 4 processes, 320 calls for 200 each: {over} over, {lost} lost")
    assert (over, lost) == (0, 0)
