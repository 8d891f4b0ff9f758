"""What the application's own schema allows, and what it does not, thrown at it: no 5xx, and nothing of another's."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from cells import Ground, Place
from sqlalchemy import select

from .conftest import DRIVERS, shop_of
from .models import Ticket
from .serving import Server, request, serving
from .shop import Parts
from .tokens import Signed

# These fail on purpose.
MEANT = {"/bug", "/cut", "/cut/sync", "/moving"}
# For each operation that takes anything; those that take nothing are one case each.
EXAMPLES, CASES = 400, 2000

VALUES = [
    "",
    "\0",
    "\ud800",
    "'; drop table tickets; --",
    "x" * 70_000,
    -1,
    10**30,
    1e400,
    None,
    True,
    [],
    {},
    [[]] * 50,
]
IDS = [
    "0",
    "not-an-id",
    "%00",
    "..%2f..",
    "'",
    "9" * 400,
    str(uuid.UUID(int=0)),
    f"{uuid.UUID(int=0)}x",
]


def hostile(rng: random.Random, paths: dict[str, Any], bearer: str) -> bytes:
    """Returns one request that somebody with a good token and bad manners might send."""
    path = rng.choice(sorted(set(paths) - MEANT))
    method = rng.choice([*paths[path], *paths[path], "delete"]).upper()
    fields = {
        "subject": rng.choice(VALUES),
        "stars": rng.choice(VALUES),
        rng.choice(["tenant_id", "id", "x"]): None,
    }
    more = {"idempotency-key": rng.choice(["", "k", "k" * 300, str(rng.random())])} if rng.random() < 0.5 else {}
    content = rng.choice(
        [
            fields,
            fields,
            {**fields, "tenant_id": rng.choice(VALUES)},
            rng.choice(VALUES),
        ]
    )
    target = path.replace("{ticket}", rng.choice(IDS))
    return request(method, target, content, authorization=bearer, **more)


@pytest.mark.parametrize("place", DRIVERS, ids=str)
@pytest.mark.parametrize("count", [40, pytest.param(700, marks=pytest.mark.soak)])
def test_hostile_requests_are_the_clients_fault(
    place: Place,
    shop: Server,
    tokens: Signed,
    count: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng, bearer = (
        random.Random(count),
        f"Bearer {tokens.issue('mallory', f'near-{place.cell}')}",
    )
    paths = shop.get("/openapi.json").json()["paths"]
    seen: Counter[int] = Counter()
    for _ in range(count):
        asked = hostile(rng, paths, bearer)
        (answer,) = shop.ask(asked)
        seen[answer.status] += 1
        assert answer.status < 500, (asked[:300], answer)
    if count > 100:
        with capsys.disabled():
            print(f"\n{place}: {count} hostile requests: {dict(sorted(seen.items()))}")
    assert len(seen) > 3


@pytest.mark.parametrize("place", DRIVERS, ids=str)
def test_what_one_may_do_another_may_not_repeat(place: Place, shop: Server, ground: Ground, tokens: Signed) -> None:
    near, far = f"near-{place.cell}", f"far-{place.cell}"
    own, foreign = (f"Bearer {tokens.issue('ann', slug)}" for slug in (near, far))
    with ground.session(Place(place.cell, "sync")) as door:
        rows = list(door.session.scalars(select(Ticket.id).limit(3)))
    for path, methods in shop.get("/openapi.json").json()["paths"].items():
        for method in methods if path not in MEANT else ():
            for row in rows if "{ticket}" in path else rows[:1]:
                target = path.replace("{ticket}", str(row))
                replayed, beside, missing = shop.ask(
                    request(
                        method.upper(),
                        target,
                        {},
                        authorization=foreign,
                        x_request_id="same",
                    ),
                    request(
                        method.upper(),
                        target,
                        {},
                        authorization=foreign,
                        x_tenant=near,
                        x_request_id="same",
                    ),
                    request(
                        method.upper(),
                        path.replace("{ticket}", str(uuid.uuid4())),
                        {},
                        authorization=foreign,
                    ),
                )
                # In its own name it gets what it would get anyway; in another's, nothing.
                assert (beside.status, beside.json()["code"]) == (
                    403,
                    "tenants_disagree",
                )
                if "{ticket}" in path:
                    assert shop.get(target, authorization=own).status == 200
                    assert (replayed.status, replayed.body) == (404, missing.body)


@pytest.mark.soak
def test_schemathesis_finds_no_fault(
    parts: Callable[[str], Parts], tokens: Signed, capsys: pytest.CaptureFixture[str]
) -> None:
    # Here, since importing it takes half a second.
    import hypothesis
    import schemathesis

    seen: Counter[int] = Counter()
    replayed: Counter[int] = Counter()
    bearers = [f"Bearer {tokens.issue('ann', slug)}" for slug in ("near-postgresql-rows", "far-postgresql-rows")]
    with serving(shop_of(parts("psycopg"), tokens)) as server:
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations() if found.ok().path not in MEANT]
        health = list(hypothesis.HealthCheck)
        settings = hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=health,
        )
        for operation in operations:

            @settings
            @hypothesis.given(case=operation.as_strategy())
            def attack(case: Any) -> None:
                named = {
                    "X-Tenant": "near-postgresql-rows",
                    "Idempotency-Key": str(uuid.uuid4()),
                }
                answer = case.call(headers={**named, "Authorization": bearers[0]})
                again = case.call(headers={**named, "Authorization": bearers[1]})
                seen[answer.status_code] += 1
                replayed[again.status_code] += 1
                assert answer.status_code < 500, answer.text
                assert not 200 <= again.status_code < 300, again.text

            attack()
    with capsys.disabled():
        print(f"\nschemathesis: {sum(seen.values())} cases {dict(seen)}; replayed by another: {dict(replayed)}")
    assert sum(seen.values()) >= CASES


def test_the_harness_notices_a_fault(parts: Callable[[str], Parts], tokens: Signed) -> None:
    """The control: a bug is a 500, and an open route answers anybody."""
    with serving(shop_of(parts("aiosqlite"), tokens)) as server:
        assert server.get("/bug").status == 500
        assert json.loads(server.get("/open").body) == {"ambient": None}
