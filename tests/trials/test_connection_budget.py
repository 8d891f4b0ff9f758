"""Tenants' own databases and files stay within a server's budget of connections, and a process' of open files."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from tenantry import Tenancy, errors
from tenantry.ids import physical_file, physical_name, uuid7
from tenantry.settings import Config

from .installations import PostgresInstallation, SqliteInstallation

BUDGET = 20
THREADS = TASKS = 16


class Watch:
    """Counts, over and over, the backends that serve given databases; keeps the highest count."""

    def __init__(self, url: str, databases: list[str]) -> None:
        self.highest = self.looks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(url, databases))

    def _look(self, url: str, databases: list[str]) -> None:
        question = "select count(*) from pg_stat_activity where datname = any(%s) and backend_type = 'client backend'"
        with psycopg.connect(url, autocommit=True) as connection:
            while not self._over.is_set():
                self.highest = max(self.highest, connection.execute(question, (databases,)).fetchone()[0])
                self.looks += 1

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def make_databases(installation: PostgresInstallation, count: int) -> list[str]:
    """Returns the slugs of *count* tenants with databases, all but the first copied from the first's."""
    installation.fill("t0", isolation="database")
    with installation.server.admin(installation.database) as catalog:
        template = catalog.execute("select physical from tenantry.placements").fetchone()[0]
        for number in range(1, count):
            tenant = uuid7()
            catalog.execute(f"CREATE DATABASE {physical_name(tenant)} TEMPLATE {template} STRATEGY file_copy")
            catalog.execute(
                "insert into tenantry.tenants values (%s, %s, %s, 'active', '{}', 1, now(), now())",
                (tenant, f"t{number}", f"t{number}"),
            )
            catalog.execute(
                "insert into tenantry.placements values (%s, 1, 'main', 'database', %s)",
                (tenant, physical_name(tenant)),
            )
    return [f"t{number}" for number in range(count)]


def physical_names(installation: PostgresInstallation) -> list[str]:
    with installation.server.admin(installation.database) as catalog:
        return [row[0] for row in catalog.execute("select physical from tenantry.placements")]


INSERT = "insert into tickets (tenant_id, id, subject, n) values (:t, gen_random_uuid(), :s, 0)"
SEEN = "select count(*), count(*) filter (where tenant_id = :t) from tickets"


def _visit(tenancy: Tenancy, slug: str) -> str:
    with tenancy.transaction(slug) as db:
        tenant = {"t": db.tenant.id}
        db.execute(text(INSERT), {**tenant, "s": slug})
        every, own = db.execute(text(SEEN), tenant).one()
    return "right" if every == own > 0 else "wrong"


async def _visit_async(tenancy: Tenancy, slug: str) -> str:
    async with tenancy.aio.transaction(slug) as db:
        tenant = {"t": db.tenant.id}
        await db.execute(text(INSERT), {**tenant, "s": slug})
        every, own = (await db.execute(text(SEEN), tenant)).one()
    return "right" if every == own > 0 else "wrong"


async def _visit_all(tenancy: Tenancy, slugs: list[str]) -> Counter[str]:
    places = asyncio.Semaphore(TASKS)

    async def visit(slug: str) -> str:
        async with places:
            return await _visit_async(tenancy, slug)

    seen = Counter(await asyncio.gather(*(visit(slug) for slug in slugs)))
    await tenancy.aio.close()
    return seen


def visit_by_both_doors(tenancy: Tenancy, slugs: list[str], *, rounds: int) -> Counter[str]:
    """Visits every tenant *rounds* times from threads and as often from tasks, at the same time, in random order."""
    order = random.Random(7)
    visits = [order.sample(slugs, len(slugs)) for _ in range(2 * rounds)]
    threaded = [slug for once in visits[:rounds] for slug in once]
    awaited = [slug for once in visits[rounds:] for slug in once]
    with ThreadPoolExecutor(THREADS + 1) as pool:
        loop = pool.submit(lambda: asyncio.run(_visit_all(tenancy, awaited)))
        seen = Counter(pool.map(lambda slug: _visit(tenancy, slug), threaded))
        return seen + loop.result()


def check_budget(installation: PostgresInstallation, driver: str, slugs: list[str], *, rounds: int) -> None:
    tenants = len(slugs)
    config = Config(connection_budget=BUDGET, pool_size=2, max_overflow=2, engine_limit=64, pool_timeout=60.0)
    tenancy = installation.tenancy(driver=driver, config=config)
    with Watch(installation.owner_url, physical_names(installation)) as watch:
        seen = visit_by_both_doors(tenancy, slugs, rounds=rounds)
    tenancy.close()
    print(f"\n{driver}: {tenants} tenants, {dict(seen)}, at most {watch.highest} backends in {watch.looks} looks")
    assert seen == {"right": 2 * rounds * tenants}
    assert watch.highest <= BUDGET
    assert watch.highest > BUDGET // 2


def check_control(installation: PostgresInstallation, slugs: list[str]) -> None:
    """The same visits under a wider budget are seen to go beyond the narrow one."""
    tenancy = installation.tenancy(config=Config(connection_budget=100, pool_size=2))
    with Watch(installation.owner_url, physical_names(installation)) as watch:
        seen = visit_by_both_doors(tenancy, slugs, rounds=1)
    tenancy.close()
    print(f"control: at most {watch.highest} backends")
    assert seen == {"right": 2 * len(slugs)}
    assert watch.highest > BUDGET


@pytest.mark.soak
def test_forty_databases_share_a_budget(fresh: PostgresInstallation) -> None:
    slugs = make_databases(fresh, 40)
    for driver in ("psycopg", "asyncpg"):
        check_budget(fresh, driver, slugs, rounds=1)
    check_control(fresh, slugs)


@pytest.mark.soak
def test_five_hundred_databases_share_a_budget(fresh: PostgresInstallation) -> None:
    slugs = make_databases(fresh, 500)
    for driver in ("psycopg", "asyncpg"):
        check_budget(fresh, driver, slugs, rounds=2)
    check_control(fresh, slugs[:100])


def test_who_waits_in_vain_gets_a_typed_error(fresh: PostgresInstallation) -> None:
    fresh.fill("first", "second", isolation="database")
    with contextlib.closing(fresh.tenancy(config=Config(connection_budget=1, pool_timeout=0.2))) as tenancy:
        with tenancy.session("first") as busy:
            busy.execute(text("select 1"))
            with tenancy.session("second") as waiting, pytest.raises(errors.ConnectionBudgetExhausted) as refused:
                waiting.execute(text("select 1"))
        assert "1 connections" in str(refused.value)
        with tenancy.session("second") as db:
            assert db.execute(text("select 1")).scalar_one() == 1


async def _abandon(tenancy: Tenancy, slugs: tuple[str, str]) -> None:
    for slug in slugs:
        async with tenancy.aio.session(slug) as db:
            await db.execute(text("select 1"))


def abandon_three_loops(tenancy: Tenancy) -> object:
    """Returns what a session of one more caller reads."""
    for _ in range(3):
        asyncio.run(_abandon(tenancy, ("first", "second")))
    with contextlib.closing(tenancy), tenancy.session("first") as db:
        return db.execute(text("select 1")).scalar_one()


@pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning")
def test_a_loop_that_ended_without_close_gives_its_places_back(fresh: PostgresInstallation) -> None:
    fresh.fill("first", "second", isolation="database")
    assert abandon_three_loops(fresh.tenancy(config=Config(connection_budget=2))) == 1
    gc.collect()


@pytest.fixture
def many_files(directory: SqliteInstallation) -> SqliteInstallation:
    with contextlib.closing(directory.tenancy()) as tenancy:
        first = tenancy.tenants.create("t0")
    template = directory.directory / first.physical
    with contextlib.closing(sqlite3.connect(directory.directory / "catalog.sqlite3")) as catalog, catalog:
        for number in range(1, 300):
            tenant = uuid7()
            file = directory.directory / physical_file(tenant)
            file.parent.mkdir(exist_ok=True)
            shutil.copy(template, file)
            catalog.execute(
                "insert into tenants select ?, ?, ?, status, settings, epoch, created_at, updated_at from tenants"
                " where slug = 't0'",
                (tenant.hex, f"t{number}", f"t{number}"),
            )
            catalog.execute(
                "insert into placements values (?, 1, 'main', 'database', ?)", (tenant.hex, physical_file(tenant))
            )
    return directory


def run_visitor(directory: Path, **choices: Any) -> dict[str, Any]:
    """Runs the visitor of files in a process of its own and returns what it reports."""
    script = Path(__file__).with_name("visit_files.py")
    task = json.dumps({"directory": str(directory), **choices})
    done = subprocess.run(
        [sys.executable, script], input=task, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


@pytest.mark.soak
def test_three_hundred_files_fit_under_a_low_limit_of_open_files(many_files: SqliteInstallation) -> None:
    seen = run_visitor(many_files.directory, tenants=300, files=256, engine_limit=24)
    print(f"\n{seen}")
    assert seen["right"] == 600
    assert seen["errors"] == []


@pytest.mark.soak
def test_without_the_bound_the_files_run_out(many_files: SqliteInstallation) -> None:
    """The control: an engine for every tenant does not fit."""
    seen = run_visitor(many_files.directory, tenants=300, files=256, engine_limit=300)
    assert seen["errors"]
