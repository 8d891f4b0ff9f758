"""Rates in every cell and through every door: what is granted, to whom it counts, and what the caller is told."""

from __future__ import annotations

import asyncio
import dataclasses
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from tenantry import Tenancy, errors
from tenantry.events import Step, listen
from tenantry.ids import uuid7
from tenantry.limits import Decision, Limit, Rates, TokenBucket
from tenantry.limits.rate_statements import Ask
from tenantry.limits.rates import rule_in_settings
from tenantry.limits.rules import State, decision

from .clients import LONG, rule_of
from .crowd import Crowd, crowd, places_of
from .models import RULES, Base

KINDS = ["window", "bucket"]


@pytest.fixture
def fresh() -> str:
    """The name of a resource that no other test asks for."""
    return f"resource {uuid7().hex}"


def by_key(ground: Ground, place: Place, name: str, *args: Any, side: str = "near", **kwargs: Any) -> Any:
    """Calls a method of the place's rates with the tenant's key."""
    rates, slug = ground.made(place).rates, f"{side}-{place.cell}"
    if place.door == "sync":
        return getattr(rates, name)(slug, *args, **kwargs)
    return ground.runner.run(getattr(rates.aio, name)(slug, *args, **kwargs))


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("resource", RULES)
def test_as_much_is_granted_as_there_is(ground: Ground, place: Place, resource: str) -> None:
    by_key(ground, place, "reset", resource)
    told = [by_key(ground, place, "consume", resource, cost=cost) for cost in (2, 2, 1, 1)]
    assert [(found.allowed, found.remaining, found.limit) for found in told] == [
        (True, 1, 3),
        (False, 1, 3),
        (True, 0, 3),
        (False, 0, 3),
    ]
    assert [found.retry_after > 0 for found in told] == [not found for found in told]
    assert not by_key(ground, place, "check", resource)
    assert by_key(ground, place, "peek", resource).remaining == 0
    with pytest.raises(errors.RateLimited) as refused:
        by_key(ground, place, "consume_or_raise", resource)
    assert refused.value.retry_after > 0
    by_key(ground, place, "reset", resource)
    assert by_key(ground, place, "check", resource, cost=3)
    assert by_key(ground, place, "consume_or_raise", resource, cost=3).remaining == 0


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_failed_action_still_counts_unless_it_is_part_of_the_transaction(
    ground: Ground, place: Place, fresh: str
) -> None:
    rule = Limit(5, per=LONG)
    rates = ground.made(place).rates
    with ground.session(place) as door:
        assert door.call(rates.consume, fresh, limit=rule, cost=2).remaining == 3
        assert door.call(rates.consume, fresh, limit=rule).remaining == 2
        assert door.call(rates.peek, fresh, limit=rule).remaining == 2
        door.rollback()
    assert by_key(ground, place, "peek", fresh, limit=rule).remaining == 5
    with ground.session(place) as door:
        assert by_key(ground, place, "consume", fresh, limit=rule).remaining == 4
        door.rollback()
    assert by_key(ground, place, "peek", fresh, limit=rule).remaining == 4


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_tuple_form(ground: Ground, place: Place, fresh: str) -> None:
    asked = {"resource_type": fresh, "limit_period": "daily", "limit_value": 2}
    seen = [by_key(ground, place, "check_limit", **asked)]
    seen += [by_key(ground, place, "increment_usage", **asked) for _ in range(3)]
    assert [(allowed, row.current_count, row.limit_value) for allowed, row in seen] == [
        (True, 0, 2),
        (True, 1, 2),
        (True, 2, 2),
        (False, 2, 2),
    ]
    row = seen[-1][1]
    assert (row.period_end - row.period_start).total_seconds() == 86_400
    assert row.period_start.hour == row.period_start.minute == 0


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_neighbours_use_is_neither_seen_nor_felt(ground: Ground, place: Place, fresh: str) -> None:
    rule = Limit(2, per=LONG)
    for _ in range(3):
        by_key(ground, place, "consume", fresh, limit=rule)
    assert by_key(ground, place, "peek", fresh, limit=rule, side="far").remaining == 2
    assert by_key(ground, place, "consume", fresh, limit=rule, side="far").remaining == 1
    by_key(ground, place, "reset", fresh, limit=rule, side="far")
    assert by_key(ground, place, "peek", fresh, limit=rule).remaining == 0
    table = ground.tenancy(place).metadata.tables["rate_limits"]
    with ground.session(place, "far") as door:
        count = select(func.count()).where(table.c.resource == fresh)
        assert door.run(lambda session: session.scalar(count)) == 0
        door.run(lambda session: session.execute(update(table).values(used=0, until=0, seen=0)))
        door.commit()
    assert by_key(ground, place, "peek", fresh, limit=rule).remaining == 0


@pytest.mark.parametrize("place", [place for place in PLACES if place.cell.endswith(("rows", "schema"))], ids=str)
@pytest.mark.parametrize("resource", ["it's", 'a"b', "a\\b", "$1 $2", "é ☃", "%s :x", "'); DROP TABLE rate_limits; --"])
def test_any_printable_name_is_a_resource(ground: Ground, place: Place, resource: str) -> None:
    by_key(ground, place, "reset", resource, limit=RULES["api"])
    assert by_key(ground, place, "consume", resource, limit=RULES["api"]).remaining == 2
    assert by_key(ground, place, "peek", resource, limit=RULES["api"]).remaining == 2


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_tenants_own_limit_goes_before_the_declared_one(ground: Ground, place: Place, fresh: str) -> None:
    tenancy = ground.tenancy(place)
    settings = {"rate_limits": {"api": {"count": 7, "per": LONG}, "mail": {"rate": 1, "burst": 9}, "odd": {"cnt": 1}}}
    isolation = tenancy.tenants.get(f"near-{place.cell}").isolation
    tenant = tenancy.tenants.create(fresh.replace("resource ", "own-"), isolation=isolation, settings=settings)
    rates = ground.made(place).rates
    assert (rates.peek(tenant, "api").limit, rates.peek(tenant, "mail").limit) == (7, 9)
    assert rates.peek(tenant, "api", limit=Limit(1)).limit == 1
    with pytest.raises(errors.ConfigurationError, match="name no limit for 'odd'"):
        rates.consume(tenant, "odd")
    tenancy.tenants.erase(tenant, confirm=tenant.slug)
    with pytest.raises(errors.ConfigurationError, match="name no limit for 'api'"):
        rule_in_settings(dataclasses.replace(tenant, settings={"rate_limits": 100}), "api")


def test_overrides_may_come_from_anywhere(tmp_path: Any) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    rates = Rates(tenancy, limits=RULES, overrides=lambda tenant, resource: Limit(9) if tenant.slug == "big" else None)
    tenancy.install(create_tables=True)
    for slug in ("big", "small"):
        tenancy.tenants.create(slug)
    assert (rates.peek("big", "api").limit, rates.peek("small", "api").limit) == (9, 3)
    tenancy.close()


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_what_says_nothing_any_more_is_pruned(ground: Ground, place: Place, fresh: str) -> None:
    by_key(ground, place, "consume", fresh, limit=TokenBucket(10**6, burst=5))
    by_key(ground, place, "consume", fresh, limit=Limit(5, per=LONG))
    assert by_key(ground, place, "prune") >= 1
    assert by_key(ground, place, "prune") == 0
    assert by_key(ground, place, "peek", fresh, limit=Limit(5, per=LONG)).remaining == 4


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_time_does_not_go_back(ground: Ground, place: Place, kind: str, fresh: str) -> None:
    rule = Limit(2, per=1) if kind == "window" else TokenBucket(1, burst=2)
    rates, ask = ground.made(place).rates, Ask(uuid7(), fresh, rule)
    with ground.session(place) as door:
        for _ in range(3):
            rates.consume(door.session, fresh, limit=rule)
        # Somebody looked while the clock was an hour ahead.
        table, ahead = ground.tenancy(place).metadata.tables["rate_limits"], 3_600_000_000
        row = table.c.resource == ask.resource
        later = {"until": table.c.until + ahead, "seen": table.c.seen + ahead}
        door.session.execute(update(table).where(row).values(later))
        seen = door.session.scalar(select(table.c.seen).where(row))
        for _ in range(3):
            assert not rates.consume(door.session, fresh, limit=rule)
        assert door.session.scalar(select(table.c.seen).where(row)) == seen


class Model:
    """A token bucket as it is told: tokens drip in, as many as fit, and a call takes as many as it costs."""

    def __init__(self, rule: TokenBucket) -> None:
        self._rule = rule
        self._tokens = Fraction(rule.burst)
        self._at: int | None = None

    def consume(self, cost: int, *, now: int, aged: int) -> tuple[bool, int]:
        """Returns whether *cost* is granted at *now*, and the whole tokens left; *aged* is time that passed besides."""
        passed = 0 if self._at is None else now - self._at + aged
        self._tokens = min(Fraction(self._rule.burst), self._tokens + Fraction(passed, self._rule.span))
        self._at = now
        granted = self._tokens >= cost
        if granted:
            self._tokens -= cost
        return granted, int(self._tokens)


STEPS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 20_000)), min_size=1, max_size=12)
BUCKETS = st.builds(TokenBucket, st.integers(50, 5000), burst=st.integers(1, 8))


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
@settings(max_examples=25, deadline=None)
@given(rule=BUCKETS, steps=STEPS)
def test_a_bucket_does_as_its_model(
    ground: Ground, place: Place, rule: TokenBucket, steps: list[tuple[int, int]]
) -> None:
    table = ground.tenancy(place).metadata.tables["rate_limits"]
    columns = [table.c[name] for name in ("used", "until", "seen", "granted")]
    rates, model = ground.made(place).rates, Model(rule)
    with ground.session(place) as door:
        for cost, aged in steps:
            # That time passes is the same as that the row grows older.
            older = {"until": table.c.until - aged, "seen": table.c.seen - aged}
            door.session.execute(update(table).where(table.c.resource == "modelled").values(older))
            found: Decision = rates.consume(door.session, "modelled", cost=cost, limit=rule)
            state = State(*door.session.execute(select(*columns).where(table.c.resource == "modelled")).one())
            assert (found.allowed, found.remaining) == model.consume(cost, now=state.seen, aged=aged)
            assert found == decision(rule, state, cost=cost)


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_refused_call_is_granted_when_it_was_told_to_come_back(ground: Ground, place: Place, fresh: str) -> None:
    rule = TokenBucket(50, burst=4)
    table = ground.tenancy(place).metadata.tables["rate_limits"]
    rates = ground.made(place).rates
    with ground.session(place) as door:
        rates.consume(door.session, fresh, cost=4, limit=rule)
        refused = rates.consume(door.session, fresh, cost=3, limit=rule)
        assert not refused
        older = round(refused.retry_after * 1_000_000)
        values = {"until": table.c.until - older, "seen": table.c.seen - older}
        door.session.execute(update(table).where(table.c.resource == fresh).values(values))
        assert rates.consume(door.session, fresh, cost=3, limit=rule)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Limit(-1), "no limit"),
        (lambda: Limit(1, per=0), "no limit"),
        (lambda: Limit(1, per="fortnightly"), "no limit"),
        (lambda: TokenBucket(0, burst=1), "no limit"),
        (lambda: TokenBucket(1, burst=-1), "no limit"),
        (lambda: TokenBucket(1, burst=10**15), "no limit"),
    ],
)
def test_numbers_that_are_no_limit_are_refused(wrong: Any, said: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=said):
        wrong()


def test_calls_that_cannot_be_counted_are_refused(ground: Ground) -> None:
    place = SYNC_PLACES[0]
    with pytest.raises(errors.ConfigurationError, match="Nobody declared a limit"):
        by_key(ground, place, "consume", "undeclared")
    for resource, cost in [("api", 0), ("", 1), ("a\x00b", 1), ("x" * 201, 1)]:
        with pytest.raises(errors.ConfigurationError, match="cannot be counted"):
            by_key(ground, place, "consume", resource, cost=cost, limit=Limit(1))
    with pytest.raises(errors.TenantNotFound):
        ground.made(place).rates.consume("nobody", "api")
    assert not by_key(ground, place, "consume", "api", cost=10**30, limit=Limit(1, per=LONG))
    assert not by_key(ground, place, "consume", "api", limit=Limit(0))
    assert not by_key(ground, place, "consume", "api", limit=TokenBucket(1, burst=0))


@pytest.mark.parametrize("fail_open", [False, True])
def test_a_store_that_is_down_refuses_or_lets_pass_as_chosen(postgres: Any, fail_open: bool) -> None:
    with postgres.lend_database() as url:
        tenancy = Tenancy(url, models=Base)
        rates = Rates(tenancy, limits=RULES, fail_open=fail_open)
        tenancy.install(create_tables=True)
        tenancy.tenants.create("acme")
        rates.consume("acme", "api")
        database = urlsplit(url).path[1:]
        with postgres.admin() as admin:
            admin.execute(f'ALTER DATABASE "{database}" WITH ALLOW_CONNECTIONS false')
            admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (database,))
        told: list[Step] = []
        stop = listen(told.append)
        try:
            # The connection that was lost, and then one that cannot be made.
            for _ in range(2):
                if fail_open:
                    found = rates.consume("acme", "api")
                    assert (found.allowed, found.counted) == (True, False)
                else:
                    with pytest.raises(errors.RatesUnavailable, match="api"):
                        rates.consume("acme", "api")
            heard = [step.facts["resource"] for step in told if step.operation == "rates"]
            assert heard == ["api", "api"] * fail_open
        finally:
            stop()
        with postgres.admin() as admin:
            admin.execute(f'ALTER DATABASE "{database}" WITH ALLOW_CONNECTIONS true')
        assert rates.consume("acme", "api").remaining == 1
        tenancy.close()


def test_a_statement_that_was_forgotten_or_outdated_is_asked_all_the_same(ground: Ground, fresh: str) -> None:
    place, rule = SYNC_PLACES[0], Limit(20, per=LONG)
    tenancy = ground.open(ground.urls["app_url"])
    rates, key = Rates(tenancy), f"near-{place.cell}"
    assert rates.consume(key, fresh, limit=rule).remaining == 19
    with tenancy.router.route(key).engine().raw_connection() as pooled:  # type: ignore[attr-defined]  # SQLAlchemy's
        pooled.driver_connection.pgconn.exec_(b"DEALLOCATE ALL")
    assert [rates.consume(key, fresh, limit=rule).remaining for _ in range(3)] == [18, 17, 16]
    for kind in ("numeric", "bigint"):
        with ground.tenancy(place).servers.get("main").owner(action="Changing a column") as owner:
            owner.execute(f"ALTER TABLE rate_limits ALTER COLUMN used TYPE {kind}")
        left = rates.peek(key, fresh, limit=rule).remaining
        assert [rates.consume(key, fresh, limit=rule).remaining for _ in range(3)] == [left - 1, left - 2, left - 3]
    tenancy.close()


AWAITED = [place for place in PLACES if place.door != "sync" and place.cell in ("postgresql-rows", "sqlite-file")]


@pytest.mark.parametrize("place", AWAITED, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_tasks_of_one_loop_get_exactly_as_much(ground: Ground, place: Place, kind: str, fresh: str) -> None:
    rates, key, rule = ground.made(place).rates, f"near-{place.cell}", rule_of(kind, 20)

    async def client() -> int:
        return sum([bool(await rates.aio.consume(key, fresh, limit=rule)) for _ in range(2)])

    async def together() -> list[int]:
        return await asyncio.gather(*(client() for _ in range(16)))

    assert sum(ground.runner.run(together())) == 20


@pytest.mark.parametrize("place", AWAITED, ids=str)
def test_a_call_that_is_cancelled_leaves_nothing_behind(ground: Ground, place: Place, fresh: str) -> None:
    rates, key, rule = ground.made(place).rates, f"near-{place.cell}", Limit(1000, per=LONG)

    async def interrupted() -> tuple[int, int]:
        calls = [asyncio.ensure_future(rates.aio.consume(key, fresh, limit=rule)) for _ in range(60)]
        for number, call in enumerate(calls):
            await asyncio.sleep(0)
            if number % 2:
                call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        granted = sum(isinstance(answer, Decision) for answer in answers)
        assert all(isinstance(answer, Decision | asyncio.CancelledError) for answer in answers)
        return granted, 1000 - (await rates.aio.peek(key, fresh, limit=rule)).remaining

    granted, taken = ground.runner.run(interrupted())
    # Who was cancelled may have been counted; who was answered has been.
    assert granted <= taken <= 60
    again = [by_key(ground, place, "consume", fresh, limit=rule).remaining for _ in range(20)]
    assert again == [1000 - taken - number for number in range(1, 21)]


def test_clients_of_several_processes_get_exactly_as_much(clients: Crowd, fresh: str) -> None:
    for cell, kind in [("postgresql-rows", "window"), ("postgresql-rows", "bucket"), ("sqlite-file", "bucket")]:
        job = {"place": cell.split("-")[0], "key": f"near-{cell}", "kind": kind, "threads": 8, "asks": 3}
        assert clients.storm(resource=fresh, count=30, **job) == {"granted": 30, "refused": 18}
        assert clients.storm(resource=f"{fresh}!", count=500, **job) == {"granted": 48}


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", ["postgresql-rows", "postgresql-schema", "sqlite-file", "sqlite-rows"])
def test_sixteen_clients_get_exactly_as_much_in_every_of_20_runs(ground: Ground, cell: str, kind: str) -> None:
    over = lost = 0
    job = {"place": cell.split("-")[0], "key": f"near-{cell}", "kind": kind, "threads": 4, "asks": 20}
    with crowd(places_of(ground), processes=4) as clients:
        for run in range(20):
            told = clients.storm(resource=f"run {run} {uuid7().hex}", count=200, **job)
            over += max(told["granted"] - 200, 0)
            lost += max(200 - told["granted"], 0)
            assert sum(told.values()) == 320
    print(f"\n{cell}, {kind}: 20 runs of 16 clients in 4 processes, 320 calls for 200 each: {over} over, {lost} lost")
    assert (over, lost) == (0, 0)
