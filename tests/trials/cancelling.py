"""Cancels work at chosen ticks of the event loop, and looks at what the next borrower of its connection would see."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from .models import Ticket

MINE, OTHER = "alder", "birch"
PAUSES = (0.0, 0.0001)


class Door(Protocol):
    """How work opens sessions, and the pool of one connection that they share."""

    driver: str
    engine: AsyncEngine

    def session(self, slug: str) -> AbstractAsyncContextManager[AsyncSession]: ...


Work = Callable[[Door, Any], Awaitable[None]]


async def reads(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        await db.execute(select(Ticket))


async def reads_text(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        await db.execute(text("select subject from tickets"))


async def commits(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        db.add(Ticket(subject=f"{MINE}/new", tenant_id=key[0]))
        await db.commit()


async def rolls_back(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        db.add(Ticket(subject=f"{MINE}/never", tenant_id=key[0]))
        await db.flush()
        await db.rollback()


async def keeps_savepoint(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        async with db.begin_nested():
            await db.execute(select(Ticket))
        await db.commit()


async def reverts_savepoint(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        await db.execute(select(Ticket))
        nested = await db.begin_nested()
        await db.execute(text("select 1"))
        await nested.rollback()
        await db.execute(select(Ticket))


async def streams(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        async for _ in await db.stream(select(Ticket).execution_options(yield_per=1)):
            await asyncio.sleep(0)


async def gets(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        await db.get(Ticket, key)


async def continues(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        await db.execute(select(Ticket))
        await db.commit()
        await db.execute(select(Ticket))
        await db.rollback()
        await db.execute(select(Ticket))


async def one_after_another(door: Door, key: Any) -> None:
    async with door.session(OTHER) as db:
        await db.execute(select(Ticket))
    async with door.session(MINE) as db:
        await db.execute(select(Ticket))


async def fails(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        await db.execute(select(Ticket))
        raise RuntimeError("the caller's own")


async def runs_sync(door: Door, key: Any) -> None:
    async with door.session(MINE) as db:
        await db.run_sync(lambda session: [session.scalars(select(Ticket)).all(), session.commit()])


STYLES: tuple[Work, ...] = (
    reads,
    reads_text,
    commits,
    rolls_back,
    keeps_savepoint,
    reverts_savepoint,
    streams,
    gets,
    continues,
    one_after_another,
    fails,
    runs_sync,
)


@dataclass
class Tally:
    """What a schedule of cancellations came to."""

    runs: int = 0
    cancelled: int = 0
    bleeds: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.runs} runs, {self.cancelled} cancelled, {len(self.bleeds)} bleeds"


async def cancel_everywhere(door: Door, key: Any, *, works: tuple[Work, ...], points: int) -> Tally:
    """Cancels each work at *points* ticks, spread over its whole length, and probes after each."""
    tally = Tally()
    for work, pause in itertools.product(works, PAUSES):
        length = await _ticks(work(door, key), pause)
        for tick in sorted({round(point * length / points) for point in range(points)}):
            tally.runs += 1
            tally.cancelled += await _cancel_after(work(door, key), tick, pause)
            tally.bleeds += [f"{work.__name__} at tick {tick}: {what}" async for what in _seen(door)]
    return tally


async def _ticks(work: Awaitable[None], pause: float) -> int:
    task = asyncio.ensure_future(work)
    for tick in itertools.count():
        if task.done():
            await asyncio.gather(task, return_exceptions=True)
            return tick
        await asyncio.sleep(pause)
    raise AssertionError("count() does not end")


async def _cancel_after(work: Awaitable[None], ticks: int, pause: float) -> bool:
    task = asyncio.ensure_future(work)
    for _ in range(ticks):
        await asyncio.sleep(pause)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return task.cancelled()


async def _seen(door: Door) -> AsyncIterator[str]:
    # The first look names no tenant: whoever sets one first hides what the one before left (HAZARDS S4).
    for look in (_without_tenant, _as_other):
        try:
            for what in await look(door):
                yield what
        except Exception as error:
            yield f"the next borrower failed: {error!r}"


async def _without_tenant(door: Door) -> list[str]:
    async with _borrowed(door.engine) as driver:
        return await LOOKS[door.driver](driver)


async def _as_other(door: Door) -> list[str]:
    async with door.session(OTHER) as db:
        seen = set((await db.execute(text("select substr(subject, 1, 5) from tickets"))).scalars())
    return [f"another tenant's session saw {seen}"] if seen != {OTHER} else []


@asynccontextmanager
async def _borrowed(engine: AsyncEngine) -> AsyncIterator[Any]:
    connection = await engine.raw_connection()
    try:
        yield connection.driver_connection
    finally:
        await greenlet_spawn(connection.close)


_QUESTION = "select coalesce(current_setting('tenantry.tenant', true), '')"
_ROWS = "select count(*) from public.tickets"


async def _look_asyncpg(driver: Any) -> list[str]:
    found = _judge(driver.is_in_transaction(), await driver.fetchval(_QUESTION))
    try:
        return found if not await driver.fetchval(_ROWS) else [*found, "rows without a tenant"]
    except Exception as error:
        return found + _refusal(error)


async def _look_psycopg(driver: Any) -> list[str]:
    # A plain cursor: the connection's own would refuse to run without a tenant.
    cursor = psycopg.AsyncCursor(driver)
    busy = driver.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
    found = _judge(busy, (await (await cursor.execute(_QUESTION)).fetchone())[0])
    try:
        count = (await (await cursor.execute(_ROWS)).fetchone())[0]
        return found if not count else [*found, "rows without a tenant"]
    except psycopg.Error as error:
        return found + _refusal(error)


async def _look_sqlite(driver: Any) -> list[str]:
    found = ["inside a transaction"] if driver.in_transaction else []
    rows = (await driver.execute_fetchall("select count(*) from tickets"))[0][0]
    return [*found, f"{rows} rows without a tenant"] if rows else found


LOOKS = {"asyncpg": _look_asyncpg, "psycopg": _look_psycopg, "aiosqlite": _look_sqlite}


def _judge(busy: bool, tenant: str) -> list[str]:
    found = ["inside a transaction"] if busy else []
    return [*found, f"bound to {tenant}"] if tenant else found


def _refusal(error: Exception) -> list[str]:
    # Without a tenant the policy cannot read a UUID from the setting: 22P02 when it is empty, 42704 when it is unknown.
    return [] if getattr(error, "sqlstate", None) in ("22P02", "42704") else [f"unexpected {error!r}"]
