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
from dataclasses import dataclass
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
# As many turns as there are contestants, so that each takes each place once.
_TURNS: Final = 4
_NOTHING_ROUNDS: Final = 5

# Brings a block of homes from one revision to the next.
Contestant = Callable[[Sequence[Home]], None]


def schemas(count: int) -> None:
    """Prints migrations of as many schemas."""
    with PostgresServer() as server, _staged(server.url("bench"), count, Isolation.SCHEMA) as stage:
        script = stage.history.sql(stage.homes[0], _AFTER)
        contestants = {
            "the bare SQL, 4 connections": lambda block: _bare_postgres(stage, script, block),
            "Alembic, one shared connection": lambda block: _alembic_postgres(stage, block),
            "AlembicHistory.apply, 4 jobs": lambda block: _move(stage, block, _AFTER),
            "Fleet.upgrade, 4 jobs": lambda block: _fleet(stage, block),
        }
        _compare(f"{count} schemas", stage, contestants, size=count)
        _nothing_to_do(f"{count} schemas", stage)


def files(count: int) -> None:
    """Prints migrations of as many SQLite files."""
    with (
        tempfile.TemporaryDirectory() as directory,
        _staged(f"sqlite:///{directory}/data", count, Isolation.DATABASE) as stage,
    ):
        script = stage.history.sql(stage.homes[0], _AFTER)
        contestants = {
            "the bare SQL, 4 threads": lambda block: _bare_sqlite(stage, script, block),
            "Alembic, one file after the other": lambda block: _alembic_sqlite(stage, block),
            "AlembicHistory.apply, 4 jobs": lambda block: _move(stage, block, _AFTER),
            "Fleet.upgrade, 4 jobs": lambda block: _fleet(stage, block),
        }
        _compare(f"{count} SQLite files", stage, contestants, size=count)
        _nothing_to_do(f"{count} SQLite files", stage)


@dataclass(frozen=True, slots=True)
class _Stage:
    """The homes, and whoever brings them from one revision to another."""

    url: str
    tenancy: Tenancy
    history: AlembicHistory
    homes: Sequence[Home]


@contextlib.contextmanager
def _staged(url: str, count: int, isolation: Isolation) -> Iterator[_Stage]:
    """Makes as many tenants with their rows and stamps them."""
    print(f"Setting the stage: {count} tenants in {isolation} ...", file=sys.stderr)
    with contextlib.closing(Tenancy(url, models=Base)) as first:
        first.install(create_tables=True)
        for number in range(count):
            fill(first, first.tenants.create(f"tenant-{number}", isolation=isolation))
    config = Config(migrations=str(_SCRIPTS))
    with contextlib.ExitStack() as stack:
        tenancy = stack.enter_context(contextlib.closing(Tenancy(url, models=Base, config=config)))
        history = stack.enter_context(contextlib.closing(AlembicHistory(tenancy)))
        for home in homes_of(tenancy):
            history.stamp(home, _BEFORE if home.tenant else _AFTER)
        yield _Stage(url, tenancy, history, [home for home in homes_of(tenancy) if home.tenant])


def _compare(title: str, stage: _Stage, contestants: dict[str, Contestant], *, size: int) -> None:
    """Prints how long a home takes, each turn giving one sample of *size* homes to every contestant."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(_TURNS):
        first = number * size % len(stage.homes)
        block = stage.homes[first : first + size]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.perf_counter()
            contestants[name](block)
            seconds[name].append((time.perf_counter() - begun) / len(block))
            _check(stage, block)
            _move(stage, block, _BEFORE)
    print(table(f"{title}, per home in runs over {size}", seconds), flush=True)


def _nothing_to_do(title: str, stage: _Stage) -> None:
    """Prints how long a fleet takes that has nothing to do."""
    _move(stage, stage.homes, _AFTER)
    fleet = Fleet(stage.tenancy)
    seconds = []
    for _ in range(_NOTHING_ROUNDS):
        begun = time.perf_counter()
        outcome = fleet.upgrade()
        seconds.append(time.perf_counter() - begun)
        assert not outcome.works
    print(f"\n{title}, nothing to do: Fleet.upgrade() takes {statistics.median(seconds):.2f} s", flush=True)


def _check(stage: _Stage, block: Sequence[Home]) -> None:
    found = set(stage.history.read(block).values())
    assert found == {_AFTER}, found


def _move(stage: _Stage, block: Sequence[Home], revision: str) -> None:
    _in_threads(lambda home: stage.history.apply(home, revision, pace=Pace()), block)


def _fleet(stage: _Stage, block: Sequence[Home]) -> None:
    wanted = set(block)
    outcome = Fleet(stage.tenancy).upgrade(jobs=_JOBS, where=lambda home: home in wanted)
    assert outcome.ok
    assert len(outcome.done) == len(block)


def _alembic_postgres(stage: _Stage, block: Sequence[Home]) -> None:
    with owner_engine(Site(stage.tenancy, block[0])).connect() as connection:
        for home in block:
            with connection.begin():
                connection.exec_driver_sql(f"SET LOCAL search_path = {home.physical}, tenantry_extensions, pg_temp")
                _run(stage, home, connection)


def _alembic_sqlite(stage: _Stage, block: Sequence[Home]) -> None:
    for home in block:
        with owner_engine(Site(stage.tenancy, home)).connect() as connection, connection.begin():
            _run(stage, home, connection)


def _run(stage: _Stage, home: Home, connection: Connection) -> None:
    steps = stage.history.lineage.upgrades(_BEFORE, _AFTER)
    context = migration_context(Site(stage.tenancy, home), connection=connection, fn=lambda *_: steps)
    with operations(context):
        context.run_migrations()


def _bare_postgres(stage: _Stage, script: str, block: Sequence[Home]) -> None:
    shown, waiting = stage.homes[0], _queued(block)

    def work() -> None:
        with psycopg.connect(stage.url, autocommit=True) as connection:
            for home in _taken(waiting):
                own = script.replace(shown.physical, home.physical).replace(str(shown.tenant), str(home.tenant))
                connection.execute(own.encode())

    _together(work)


def _bare_sqlite(stage: _Stage, script: str, block: Sequence[Home]) -> None:
    server: Any = stage.tenancy.servers.main

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
