"""Budgets under 16 clients in several processes, and totals against a recount of real requests."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cells import Ground, Place
from sqlalchemy import func, select

from .stage import PRICES, Base, forget_all

CLIENT = Path(__file__).with_name("client.py")
CLIENTS = 16
PLACES = [Place("postgresql-rows", "sync"), Place("sqlite-file", "sync")]

TRACES = {"conversation": "conv", "code": "code"}
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
DATA = Path(os.environ.get("TENANTRY_TEST_DATA") or BESIDE) / "chat"
Request = tuple[str, str, datetime, int, int]


@contextmanager
def clients(url: str, key: str, processes: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Starts the processes; they wait for the word."""
    orders = json.dumps({"url": url, "key": key, "threads": CLIENTS // processes})
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, str(CLIENT)], **pipes) for _ in range(processes)]
    try:
        for process in started:
            print(orders, file=process.stdin, flush=True)
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def spend_all(ground: Ground, place: Place, *, calls: int, processes: int) -> list[int]:
    """Has 16 clients spend a hard budget of *calls* calls; returns what each was granted, after checking the rows."""
    usage, url = ground.made(place), ground.urls["app_url"] if place.postgresql else ground.sqlite_url
    with ground.session(place) as door:
        forget_all(door.session)
        usage.set_budget(door.session, "month", tokens=calls * 10)
        # Wider, so that what it takes first has to be given back.
        usage.set_budget(door.session, "day", tokens=calls * 10 + 15)
        door.commit()
    with clients(url, f"near-{place.cell}", processes) as started:
        outputs = [process.communicate("go\n", timeout=120)[0] for process in started]
    with ground.session(place) as door:
        total, budgets = usage.total(door.session), usage.budgets(door.session)
        held = door.session.scalar(select(func.count()).select_from(Base.metadata.tables["usage_reservations"]))
        forget_all(door.session)
        door.commit()
    assert (total.requests, total.total_tokens, held) == (calls, calls * 10, 0)
    assert {budget.tokens for budget in budgets.values()} == {calls * 10}
    assert {budget.cost for budget in budgets.values()} == {total.cost}
    return [granted for output in outputs for granted in json.loads(output)]


@pytest.mark.mainly("postgresql-rows")
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_hard_budget_stops_sixteen_clients_at_the_exact_call(ground: Ground, place: Place) -> None:
    assert sum(spend_all(ground, place, calls=101, processes=2)) == 101


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_hard_budget_is_exact_in_every_round(ground: Ground, place: Place) -> None:
    granted = [sum(spend_all(ground, place, calls=500, processes=4)) for _ in range(20)]
    assert granted == [500] * 20
    print(f"\n{place}: 20 rounds of 16 clients, a hard budget of 500 calls: granted {sorted(set(granted))}")


def made_up() -> Iterator[Request]:
    """Yields requests like the real ones, over three days."""
    for number in range(300):
        at = datetime(2023, 11, 16 + number % 3, 23 - number % 24, number % 60, tzinfo=UTC)
        yield list(TRACES)[number % 2], f"user{number % 7}", at, 10 * number, number % 11


def real() -> Iterator[Request]:
    """Yields every request of the traces of Azure, given to 50 users in turn."""
    for provider, name in TRACES.items():
        with gzip.open(DATA / f"azure_llm_trace_{name}.csv.gz", "rt") as lines:
            for number, row in enumerate(csv.DictReader(lines)):
                at = datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC)
                yield provider, f"user{number % 50}", at, int(row["ContextTokens"]), int(row["GeneratedTokens"])


def recount(ground: Ground, place: Place, requests: list[Request]) -> None:
    """Records *requests* and compares the totals with sums made in Python, by user, provider, model and day."""
    usage = ground.made(place)
    expected: dict[str, Counter[Any]] = {by: Counter() for by in ("user", "provider", "model", "day")}
    with ground.session(place, "far") as door:
        for provider, user, at, prompt, completion in requests:
            call = {"prompt_tokens": prompt, "completion_tokens": completion, "user_id": user, "at": at}
            made = usage.record(door.session, provider=provider, model="gpt", **call)
            price = PRICES[provider]
            exact = (prompt * price.prompt + completion * price.completion) / 1_000_000
            assert abs(made.cost - exact) <= Decimal("0.0000005")
            for by, key in {"user": user, "provider": provider, "model": (provider, "gpt"), "day": at.date()}.items():
                figures = {"requests": 1, "prompt": prompt, "completion": completion, "cost": made.cost}
                expected[by].update({(key, name): figure for name, figure in figures.items()})
        for by, sums in expected.items():
            found: Counter[Any] = Counter()
            for key, total in usage.totals(door.session, by=by).items():
                figures = {"requests": total.requests, "prompt": total.prompt_tokens}
                figures |= {"completion": total.completion_tokens, "cost": total.cost}
                found.update({(key, name): figure for name, figure in figures.items()})
            assert found == sums


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_totals_equal_a_recount(ground: Ground, place: Place) -> None:
    recount(ground, place, list(made_up()))


@pytest.mark.soak
@pytest.mark.skipif(not DATA.is_dir(), reason="the traces are not at hand; TENANTRY_TEST_DATA says where they are")
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_totals_equal_a_recount_of_real_requests(ground: Ground, place: Place) -> None:
    requests = list(real())
    recount(ground, place, requests)
    print(f"\n{place}: totals by user, provider, model and day equal a recount of {len(requests)} requests")
