"""Sessions timed turn by turn, one contestant after the other in every round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from bench.peers import PEER, Peer, environment
from bench.samples import table
from bench.stage import Stage
from bench.work import WORK, Work
from tenantry import Tenancy

Turn = Callable[[int], None]
AsyncTurn = Callable[[int], Awaitable[None]]
T = TypeVar("T")
WARM_UP = 60
BLOCK = 10


def synchronous(stage: Stage, rounds: int) -> None:
    """Prints plain sessions beside tenants', through psycopg."""
    engine = stage.plain_engine()
    for name, (plain, walled) in WORK.items():
        baseline = {"plain SQLAlchemy, filter by hand": _plain(engine, stage, plain)}
        rows = {"tenancy.session, rows": _walled(stage, walled)}
        print(table(f"psycopg, {name}", timed(baseline | rows, rounds)), flush=True)
        if stage.schemas and "prebuilt" not in name:
            # Apart: a server process that has seen a thousand schemas serves every statement more slowly.
            schemas = {f"tenancy.session, schema, {len(stage.schemas)} in turn": _in_schemas(stage, walled)}
            samples = timed(baseline | schemas, rounds, warm_up=max(WARM_UP, len(stage.schemas)))
            print(table(f"psycopg, {name}, in schemas", samples), flush=True)
    engine.dispose()


def _plain(engine: object, stage: Stage, work: Work) -> Turn:
    def turn(number: int) -> None:
        with Session(engine) as session:  # type: ignore[arg-type]  # an Engine
            work(session, stage.tenant.id, number)

    return turn


def _walled(stage: Stage, work: Work) -> Turn:
    def turn(number: int) -> None:
        with stage.tenancy.session("common") as session:
            work(session, stage.tenant.id, number)

    return turn


def _in_schemas(stage: Stage, work: Work) -> Turn:
    def turn(number: int) -> None:
        tenant = stage.schemas[number % len(stage.schemas)]
        with stage.tenancy.session(tenant.slug) as session:
            work(session, tenant.id, number)

    return turn


def timed(contestants: dict[str, Turn], rounds: int, *, warm_up: int = WARM_UP) -> dict[str, list[float]]:
    """Returns how long each turn of each contestant took, in seconds; they take turns one after the other."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(-warm_up, rounds):
        for name, turn in _ordered(contestants, number):
            begun = time.perf_counter()
            turn(number + warm_up)
            if number >= 0:
                samples[name].append(time.perf_counter() - begun)
    return samples


def asynchronous(stage: Stage, rounds: int, peer_directory: Path, driver: str) -> None:
    """Prints the same through an async driver, beside another library's session."""
    python = environment(peer_directory)
    _make_peer_table(stage)
    with Peer(python, stage.plain_url("psycopg"), str(stage.tenant.id)) as peer:
        asyncio.run(_asynchronous(stage, rounds, peer if driver == "psycopg" else None, driver))


async def _asynchronous(stage: Stage, rounds: int, peer: Peer | None, driver: str) -> None:
    path = (
        {"options": "-c search_path=public"} if driver == "psycopg" else {"server_settings": {"search_path": "public"}}
    )
    engine = create_async_engine(stage.plain_url(driver), connect_args=path)
    tenancy = Tenancy(stage.plain_url(driver), models=stage.tenancy.models, owner_url=stage.owner_url)
    for name, (plain, walled) in WORK.items():
        if "prebuilt" in name:
            continue

        async def plain_turn(number: int, work: Work = plain) -> None:
            async with AsyncSession(engine) as session:
                await session.run_sync(lambda sync: work(sync, stage.tenant.id, number))

        async def walled_turn(number: int, work: Work = walled) -> None:
            async with tenancy.aio.session("common") as session:
                await session.run_sync(lambda sync: work(sync, stage.tenant.id, number))

        turns = {"plain SQLAlchemy, filter by hand": plain_turn, "tenancy.aio.session, rows": walled_turn}
        samples = await _timed_async(turns, rounds, name, peer)
        print(table(f"{driver}, async, {name}", samples), flush=True)
    await engine.dispose()
    await tenancy.aio.close()
    tenancy.close()


def _ordered(contestants: dict[str, T], number: int) -> Iterable[tuple[str, T]]:
    """Yields the contestants, every other time the last one first: who comes behind another finds the caches cold."""
    items = list(contestants.items())
    return reversed(items) if number % 2 else items


async def _timed_async(
    contestants: dict[str, AsyncTurn], rounds: int, work: str, peer: Peer | None
) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in (*contestants, *([PEER] if peer else []))}
    for start in range(0, rounds + WARM_UP, BLOCK):
        for name, turn in _ordered(contestants, start // BLOCK):
            samples[name] += [await _one(turn, number) for number in range(start, start + BLOCK)]
        if peer:
            samples[PEER] += await asyncio.to_thread(peer.run, work, start, BLOCK)
    return {name: values[WARM_UP:] for name, values in samples.items()}


async def _one(turn: AsyncTurn, number: int) -> float:
    begun = time.perf_counter()
    await turn(number)
    return time.perf_counter() - begun


def _make_peer_table(stage: Stage) -> None:
    """Makes the peer's table as its documentation says: a policy on its own setting, the app login not its owner."""
    with psycopg.connect(stage.owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS peer_tickets (LIKE plain_tickets INCLUDING ALL)")
        owner.execute("ALTER TABLE peer_tickets ENABLE ROW LEVEL SECURITY")
        owner.execute("DROP POLICY IF EXISTS tenant_isolation ON peer_tickets")
        owner.execute(
            "CREATE POLICY tenant_isolation ON peer_tickets USING "
            "(tenant_id::text = current_setting('app.current_tenant', true))"
        )
        owner.execute("GRANT SELECT, INSERT ON peer_tickets TO bench_app")
        insertion = "INSERT INTO peer_tickets SELECT * FROM plain_tickets ON CONFLICT DO NOTHING"
        owner.execute(insertion)
        owner.execute("ANALYZE peer_tickets")
