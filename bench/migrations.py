"""Pending revisions brought to many schemas and files: by the fleet, by Alembic itself, and by the bare SQL.

The contestants take turns on the same homes, block by block: each takes a block up, and what it did is undone untimed.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy.engine import Connection

from bench.models import Base
from bench.samples import table
from bench.stage import fill
from tenantry import Config, Isolation, Tenancy
from tenantry.embedded import PostgresServer
from tenantry.fleet import Fleet, Home, Pace
from tenantry.fleet.environment import migration_context, operations, owner_engine
from tenantry.fleet.homes import homes_of
from tenantry.fleet.owning import file_of
from tenantry.fleet.scripts import AlembicHistory
from tenantry.fleet.sites import Site

_SCRIPTS: Final = Path(__file__).parent / "revisions"
_BEFORE: Final = "b1"
_AFTER: Final = "b2"
_JOBS: Final = 4
_BLOCKS: Final = 10
_NOTHING_ROUNDS: Final = 5

# Brings a block of homes from one revision to the next.
Contestant = Callable[[Sequence[Home]], None]


def schemas(count: int) -> None:
    """Prints migrations of as many schemas."""
    with PostgresServer() as server:
        url = server.url("bench")
        with (
            _staged(url, count, Isolation.SCHEMA) as (tenancy, homes),
            contextlib.closing(AlembicHistory(tenancy)) as history,
        ):
            script = history.sql(homes[0], _AFTER)
            contestants = {
                "the bare SQL, 4 connections": lambda block: _bare_postgres(url, script, homes[0], block),
                "Alembic, one shared connection": lambda block: _alembic_postgres(tenancy, history, block),
                "AlembicHistory.apply, 4 jobs": lambda block: _ours(history, block),
                "Fleet.upgrade, 4 jobs": lambda block: _fleet(tenancy, block),
            }
            _compare(f"{count} schemas", history, homes, contestants)
            _nothing_to_do(f"{count} schemas", tenancy, history, homes)


def files(count: int) -> None:
    """Prints migrations of as many SQLite files."""
    with tempfile.TemporaryDirectory() as directory:
        with (
            _staged(f"sqlite:///{directory}/data", count, Isolation.DATABASE) as (tenancy, homes),
            contextlib.closing(AlembicHistory(tenancy)) as history,
        ):
            script = history.sql(homes[0], _AFTER)
            contestants = {
                "the bare SQL, 4 threads": lambda block: _bare_sqlite(tenancy, script, block),
                "Alembic, one file after the other": lambda block: _alembic_sqlite(tenancy, history, block),
                "AlembicHistory.apply, 4 jobs": lambda block: _ours(history, block),
                "Fleet.upgrade, 4 jobs": lambda block: _fleet(tenancy, block),
            }
            _compare(f"{count} SQLite files", history, homes, contestants)
            _nothing_to_do(f"{count} SQLite files", tenancy, history, homes)


@contextlib.contextmanager
def _staged(url: str, count: int, isolation: Isolation) -> Iterator[tuple[Tenancy, list[Home]]]:
    """Makes as many tenants with their rows and stamps them."""
    print(f"Setting the stage: {count} tenants in {isolation} ...", file=sys.stderr)
    first = Tenancy(url, models=Base)
    first.install(create_tables=True)
    for number in range(count):
        fill(first, first.tenants.create(f"tenant-{number}", isolation=isolation))
    first.close()
    tenancy = Tenancy(url, models=Base, config=Config(migrations=str(_SCRIPTS)))
    try:
        with contextlib.closing(AlembicHistory(tenancy)) as history:
            for home in homes_of(tenancy):
                history.stamp(home, _BEFORE if home.tenant else _AFTER)
        yield tenancy, [home for home in homes_of(tenancy) if home.tenant]
    finally:
        tenancy.close()


def _compare(title: str, history: AlembicHistory, homes: Sequence[Home], contestants: dict[str, Contestant]) -> None:
    """Prints how long a home takes, each block of homes giving one sample to every contestant."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    size = max(1, len(homes) // _BLOCKS)
    for number in range(len(homes) // size):
        block = homes[number * size : (number + 1) * size]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.perf_counter()
            contestants[name](block)
            seconds[name].append((time.perf_counter() - begun) / len(block))
            _check(history, block, _AFTER)
            _in_threads(lambda home: history.apply(home, _BEFORE, pace=Pace()), block)
    print(table(f"{title}, per home in blocks of {size}", seconds), flush=True)


def _nothing_to_do(title: str, tenancy: Tenancy, history: AlembicHistory, homes: Sequence[Home]) -> None:
    """Prints how long a fleet takes that has nothing to do."""
    _in_threads(lambda home: history.apply(home, _AFTER, pace=Pace()), homes)
    fleet = Fleet(tenancy)
    seconds = []
    for _ in range(_NOTHING_ROUNDS):
        begun = time.perf_counter()
        outcome = fleet.upgrade()
        seconds.append(time.perf_counter() - begun)
        assert not outcome.works
    print(f"\n{title}, nothing to do: Fleet.upgrade() takes {statistics.median(seconds):.2f} s", flush=True)


def _check(history: AlembicHistory, block: Sequence[Home], revision: str) -> None:
    found = set(history.read(block).values())
    assert found == {revision}, found


def _ours(history: AlembicHistory, block: Sequence[Home]) -> None:
    _in_threads(lambda home: history.apply(home, _AFTER, pace=Pace()), block)


def _fleet(tenancy: Tenancy, block: Sequence[Home]) -> None:
    wanted = set(block)
    outcome = Fleet(tenancy).upgrade(jobs=_JOBS, where=lambda home: home in wanted)
    assert outcome.ok and len(outcome.done) == len(block)


def _alembic_postgres(tenancy: Tenancy, history: AlembicHistory, block: Sequence[Home]) -> None:
    engine = owner_engine(Site(tenancy, block[0]))
    with engine.connect() as connection:
        for home in block:
            with connection.begin():
                connection.exec_driver_sql(f"SET LOCAL search_path = {home.physical}, tenantry_extensions, pg_temp")
                _run(history, Site(tenancy, home), connection)


def _alembic_sqlite(tenancy: Tenancy, history: AlembicHistory, block: Sequence[Home]) -> None:
    for home in block:
        site = Site(tenancy, home)
        with owner_engine(site).connect() as connection, connection.begin():
            _run(history, site, connection)


def _run(history: AlembicHistory, site: Site, connection: Connection) -> None:
    steps = history.lineage.upgrades(_BEFORE, _AFTER)
    context = migration_context(site, connection=connection, fn=lambda *_: steps)
    with operations(context):
        context.run_migrations()


def _bare_postgres(url: str, script: str, shown: Home, block: Sequence[Home]) -> None:
    def replay(connection: psycopg.Connection[Any], home: Home) -> None:
        own = script.replace(shown.physical, home.physical).replace(str(shown.tenant), str(home.tenant))
        connection.execute(own.encode())

    waiting = _queued(block)

    def work() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for home in _taken(waiting):
                replay(connection, home)

    _together(work)


def _bare_sqlite(tenancy: Tenancy, script: str, block: Sequence[Home]) -> None:
    server: Any = tenancy.servers.main

    def replay(home: Home) -> None:
        with contextlib.closing(sqlite3.connect(file_of(home, server), isolation_level=None)) as connection:
            connection.executescript(script)

    _in_threads(replay, block)


def _in_threads(work: Callable[[Home], object], homes: Sequence[Home]) -> None:
    waiting = _queued(homes)

    def run() -> None:
        for home in _taken(waiting):
            work(home)

    _together(run)


def _together(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(_JOBS) as pool:
        for future in [pool.submit(work) for _ in range(_JOBS)]:
            future.result()


def _queued(homes: Iterable[Home]) -> queue.SimpleQueue[Home]:
    waiting: queue.SimpleQueue[Home] = queue.SimpleQueue()
    for home in homes:
        waiting.put(home)
    return waiting


def _taken(waiting: queue.SimpleQueue[Home]) -> Iterator[Home]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield waiting.get_nowait()
