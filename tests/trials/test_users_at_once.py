"""Threads, tasks and forked processes: each has its own session, and two on one session are told so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from tenantry import Tenancy, errors
from tenantry.settings import Config

from .installations import PostgresInstallation, SqliteInstallation
from .models import Ticket

SLOW = text("select pg_sleep(0.05)")
OPERATIONS = {
    "execute": lambda db: db.execute(text("select 1")),
    "scalars": lambda db: db.scalars(select(Ticket)),
    "get": lambda db: db.get(Ticket, (db.tenant.id, db.tenant.id)),
    "flush": lambda db: (db.add(Ticket(subject="x")), db.flush()),
    "commit": lambda db: db.commit(),
    "rollback": lambda db: db.rollback(),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_second_thread_on_a_session_is_refused(installed: PostgresInstallation, operation: str) -> None:
    slug = f"thread-{operation}"
    installed.fill(slug)
    with contextlib.closing(installed.tenancy()) as tenancy:
        outcomes = [in_the_middle(tenancy, slug, operation) for _ in range(5)]
    assert outcomes == [errors.SessionInUse] * 5


def in_the_middle(tenancy: Tenancy, slug: str, operation: str) -> type[BaseException] | None:
    """Returns what a second thread gets for *operation* while the first is inside a statement."""
    inside, outcome = threading.Event(), []

    def second() -> None:
        assert inside.wait(20)
        try:
            OPERATIONS[operation](db)
        except BaseException as error:
            outcome.append(type(error))
        else:
            outcome.append(None)

    with tenancy.session(slug) as db:
        db.execute(text("select 1"))
        thread = threading.Thread(target=second)

        @event.listens_for(db.connection(), "before_cursor_execute", once=True)
        def held(*_: object) -> None:
            inside.set()
            thread.join(20)

        thread.start()
        db.execute(text("select 2"))
        db.rollback()
    return outcome[0]


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_gathered_tasks_on_a_session_are_refused(installed: PostgresInstallation, driver: str) -> None:
    slug = f"gather-{driver}"
    installed.fill(slug)

    async def one_session(tenancy: Tenancy) -> Counter[str]:
        async with tenancy.aio.session(slug) as db:
            found = await asyncio.gather(db.execute(SLOW), db.execute(SLOW), return_exceptions=True)
        return Counter(type(each).__name__ for each in found)

    async def often(tenancy: Tenancy) -> list[Counter[str]]:
        found = [await one_session(tenancy) for _ in range(10)]
        await tenancy.aio.close()
        return found

    with contextlib.closing(installed.tenancy(driver=driver)) as tenancy:
        for found in asyncio.run(often(tenancy)):
            assert found["SessionInUse"] == 1
            assert found.total() == 2


def switch(tenancy: Tenancy, slugs: list[str], seed: int, *, switches: int) -> Counter[str]:
    """Opens sessions of random tenants, one inside another now and then, and judges what each sees."""
    dice, seen = random.Random(seed), Counter[str]()
    for _ in range(switches):
        outer, inner = dice.sample(slugs, 2)
        with tenancy.session(outer) as db:
            seen[judge(db, outer)] += 1
            if dice.random() < 0.2:
                with tenancy.session(inner) as other:
                    seen[judge(other, inner)] += 1
                seen[judge(db, outer)] += 1
            dice.choice([db.commit, db.rollback])()
    return seen


def judge(db: Session, slug: str) -> str:
    raw = db.execute(text("select subject from tickets")).scalars().all()
    mapped = db.scalars(select(Ticket.subject)).all()
    right = raw and all(subject.partition("/")[0] == slug for subject in [*raw, *mapped])
    return "right" if right else "wrong"


def check_switching(tenancy: Tenancy, slugs: list[str], *, threads: int, switches: int) -> None:
    with contextlib.closing(tenancy), ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(switch, tenancy, slugs, seed, switches=switches) for seed in range(threads)]
        seen = sum((future.result() for future in futures), Counter())
    print(f"\n{threads} threads: {dict(seen)}")
    assert seen["wrong"] == 0
    assert seen["right"] >= threads * switches


def mixed(installation: PostgresInstallation) -> list[str]:
    slugs = []
    for isolation in ("rows", "schema", "database"):
        names = [f"{isolation}-{name}" for name in "ab"]
        installation.fill(*names, isolation=isolation)
        slugs += names
    return slugs


WIDE = Config(pool_size=10, max_overflow=60, connection_budget=40)


def test_threads_that_switch_tenants_see_their_own_rows(fresh: PostgresInstallation) -> None:
    check_switching(fresh.tenancy(config=WIDE), mixed(fresh), threads=16, switches=25)


@pytest.mark.soak
def test_many_threads_that_switch_tenants_see_their_own_rows(fresh: PostgresInstallation) -> None:
    check_switching(fresh.tenancy(config=WIDE), mixed(fresh), threads=32, switches=200)


def test_threads_that_switch_tenants_see_their_own_rows_on_sqlite(directory: SqliteInstallation) -> None:
    directory.fill("file-a", "file-b", isolation="database")
    directory.fill("rows-a", "rows-b", isolation="rows")
    # One transaction at a time writes a file, so sessions that only read do not wait for each other.
    check_reading(directory, ["file-a", "file-b", "rows-a", "rows-b"], threads=8, switches=50)


def check_reading(directory: SqliteInstallation, slugs: list[str], *, threads: int, switches: int) -> None:
    def visit(seed: int) -> Counter[str]:
        dice, seen = random.Random(seed), Counter[str]()
        for _ in range(switches):
            slug = dice.choice(slugs)
            with tenancy.session(slug, read_only=True) as db:
                seen[judge(db, slug)] += 1
        return seen

    with contextlib.closing(directory.tenancy()) as tenancy, ThreadPoolExecutor(threads) as pool:
        assert sum(pool.map(visit, range(threads)), Counter()) == {"right": threads * switches}


def run_family(urls: dict[str, Any], **choices: Any) -> dict[str, Any]:
    """Runs the program that forks and returns what its processes report."""
    script = Path(__file__).with_name("forking.py")
    done = subprocess.run(
        [sys.executable, script],
        input=json.dumps({**urls, **choices}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if choices.get("careless") and done.returncode:
        return {"errors": [f"the parent ended with {done.returncode}"]}
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


def test_forked_children_and_their_parent_use_the_database_at_once(fresh: PostgresInstallation) -> None:
    slugs = mixed(fresh)
    urls = {"url": fresh.urls["app"], "owner_url": fresh.owner_url}
    seen = run_family(urls, slugs=slugs, children=4, queries=50)
    assert seen == {"right": 5 * 50, "wrong": 0, "errors": []}


@pytest.mark.soak
def test_children_that_keep_their_parents_connections_are_seen_to_fail(fresh: PostgresInstallation) -> None:
    """The control: without the library's care at a fork, processes get into each other's answers."""
    slugs = mixed(fresh)
    urls = {"url": fresh.urls["app"], "owner_url": fresh.owner_url}
    seen = run_family(urls, slugs=slugs[:2], children=4, queries=50, careless=True)
    assert seen["errors"] or seen["wrong"]
