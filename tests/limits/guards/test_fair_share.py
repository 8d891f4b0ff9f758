"""Fair share: so many at once by tenant, and a budget for each transaction."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from sqlalchemy import func, insert, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError, TenantBusy, TransactionBudgetExceeded
from tenantry.limits.fair_share import FairShare
from tenantry.limits.metering import TransactionBudget

from .places import EVERYWHERE
from .stage import Effect, effect

POSTGRESQL = [place for place in PLACES if place.postgresql]


def run(ground: Ground, place: Place, share: FairShare, work: Callable[[Session], Any], **options: Any) -> Any:
    """Runs *work* in a transaction of the tenant's share, through the place's door."""
    key = f"near-{place.cell}"
    if place.door == "sync":
        with share.transaction(key, **options) as db:
            return work(db)

    async def awaited() -> Any:
        async with share.aio.transaction(key, **options) as db:
            return await db.run_sync(work)

    return ground.runner.run(awaited())


def effects(ground: Ground, place: Place) -> int:
    """Returns how many effects the tenant has."""
    with ground.session(place) as door:
        return door.run(lambda db: db.scalar(select(func.count()).select_from(Effect)))


def rows(db: Session, number: int) -> list[dict[str, Any]]:
    """Returns so many rows for one INSERT."""
    tenant = db.info["tenant"].id
    return [{"tenant_id": tenant, "id": uuid.uuid4(), "done_by": "many", "number": 0} for _ in range(number)]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_transaction_of_too_many_statements_is_stopped_and_undone(ground: Ground, place: Place) -> None:
    share = FairShare(ground.tenancy(place), budget=TransactionBudget(statements=3))

    def add(times: int) -> Callable[[Session], None]:
        def adding(db: Session) -> None:
            for _ in range(times):
                db.add(effect())
                db.flush()

        return adding

    def again_and_again(db: Session) -> None:
        add(3)(db)
        db.commit()
        add(3)(db)

    with pytest.raises(TransactionBudgetExceeded, match="used 4 statements where 3 are allowed"):
        run(ground, place, share, add(4))
    assert effects(ground, place) == 0
    # Each transaction has its own.
    run(ground, place, share, again_and_again)
    run(ground, place, share, add(5), budget=TransactionBudget(statements=5))
    assert effects(ground, place) == 11


@pytest.mark.parametrize("place", EVERYWHERE)
def test_rows_are_counted_however_they_are_read_or_written(ground: Ground, place: Place) -> None:
    share = FairShare(ground.tenancy(place), budget=TransactionBudget(rows=10))
    run(ground, place, share, lambda db: db.add_all(effect() for _ in range(10)))
    allowed: list[Callable[[Session], Any]] = [
        lambda db: db.scalars(select(Effect)).all(),
        lambda db: db.execute(text("SELECT id FROM effects")).fetchmany(10),
        lambda db: db.scalar(select(func.count()).select_from(Effect)),
    ]
    for work in allowed:
        run(ground, place, share, work)
    too_many: list[Callable[[Session], Any]] = [
        lambda db: db.add_all(effect() for _ in range(11)) or db.flush(),
        lambda db: db.execute(insert(Effect), rows(db, 11)),
        lambda db: db.execute(insert(Effect).returning(Effect.id), rows(db, 11)).all(),
        lambda db: [db.scalars(select(Effect)).all(), db.scalars(select(Effect.id)).first()],
        lambda db: [list(db.scalars(select(Effect.id).execution_options(yield_per=3))) for _ in range(2)],
        lambda db: [db.execute(text("UPDATE effects SET number = 7")) for _ in range(2)],
        lambda db: [db.execute(text("UPDATE effects SET number = 7 RETURNING id")).all() for _ in range(2)],
        lambda db: [db.execute(text("DELETE FROM effects")), db.execute(select(literal(1))).one()],
    ]
    for work in too_many:
        with pytest.raises(TransactionBudgetExceeded, match="rows where 10 are allowed"):
            run(ground, place, share, work)
    with ground.session(place) as door:
        assert door.run(lambda db: db.scalars(select(Effect.number)).all()) == [0] * 10


@pytest.mark.parametrize("place", POSTGRESQL, ids=str)
def test_the_database_stops_a_statement_at_the_limit(ground: Ground, place: Place) -> None:
    share = FairShare(ground.tenancy(place), budget=TransactionBudget(seconds=0.1))
    with pytest.raises(TransactionBudgetExceeded, match=r"seconds where 0\.1 are allowed") as stopped:
        run(ground, place, share, lambda db: db.execute(text("SELECT pg_sleep(60)")))
    assert 0.1 <= stopped.value.used < 30
    # What fails by itself is no matter of time.
    with pytest.raises(DBAPIError):
        run(ground, place, share, lambda db: db.execute(text("SELECT 1/0")), budget=TransactionBudget(seconds=60))
    # The limit ends with the transaction.
    with ground.session(place) as door:
        assert door.run(lambda db: db.scalar(text("SELECT current_setting('statement_timeout')"))) == "0"


@pytest.mark.parametrize("place", EVERYWHERE)
def test_no_statement_begins_after_the_time_is_over(ground: Ground, place: Place) -> None:
    share = FairShare(ground.tenancy(place), budget=TransactionBudget(seconds=1e-9))
    for _ in range(2):
        with pytest.raises(TransactionBudgetExceeded, match="seconds where 1e-09 are allowed"):
            run(ground, place, share, lambda db: db.execute(select(literal(1))))


@pytest.mark.parametrize("place", EVERYWHERE)
def test_who_finds_no_place_is_turned_away_and_the_neighbour_is_not(ground: Ground, place: Place) -> None:
    share = FairShare(ground.tenancy(place), concurrency=2, wait=0)
    near, far = (f"{side}-{place.cell}" for side in ("near", "far"))

    def sync() -> None:
        with share.session(near), share.session(near):
            with pytest.raises(TenantBusy, match="has 2 transactions") as busy, share.session(near):
                pass
            assert busy.value.retry_after >= 1
            with share.session(far), share.session(far):
                pass
        with share.session(near), share.session(near):
            pass

    async def awaited() -> None:
        async with share.aio.session(near), share.aio.session(near):
            with pytest.raises(TenantBusy, match="has 2 transactions"):
                async with share.aio.session(near):
                    pass
            async with share.aio.session(far), share.aio.session(far):
                pass
        async with share.aio.session(near), share.aio.session(near):
            pass

    sync() if place.door == "sync" else ground.runner.run(awaited())
    assert repr(share.slots).endswith("0 tenants>")


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_threads_and_tasks_share_one_line_and_all_get_their_turn(ground: Ground, place: Place) -> None:
    share = FairShare(ground.tenancy(place), concurrency=3, wait=60)
    key, inside, most = f"near-{place.cell}", 0, 0
    lock = threading.Lock()

    def entered(by: int) -> None:
        nonlocal inside, most
        with lock:
            inside += by
            most = max(most, inside)

    def thread(_: int) -> None:
        for _ in range(4):
            with share.session(key, read_only=True) as db:
                entered(1)
                db.execute(select(literal(1)))
                entered(-1)

    async def task() -> None:
        for _ in range(4):
            async with share.aio.session(key, read_only=True):
                entered(1)
                await asyncio.sleep(0)
                entered(-1)

    async def tasks() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(task())

    with ThreadPoolExecutor(8) as pool:
        turns = pool.map(thread, range(8))
        if place.door == "sync" and not place.postgresql:
            ground.runner.run(tasks())
        list(turns)
    assert 1 <= most <= 3
    assert repr(share.slots).endswith("0 tenants>")


def test_a_place_is_not_lost_with_a_task_that_is_cancelled_while_it_waits(ground: Ground) -> None:
    place = Place("sqlite-file", "aiosqlite")
    share = FairShare(ground.tenancy(place), concurrency=1, wait=60)
    key = f"near-{place.cell}"

    async def hold(entered: asyncio.Event, leave: asyncio.Event) -> None:
        async with share.aio.session(key):
            entered.set()
            await leave.wait()

    async def all_of_it() -> None:
        leave = asyncio.Event()
        first, second, third = (asyncio.Event() for _ in range(3))
        holding = asyncio.create_task(hold(first, leave))
        await first.wait()
        waiting = [asyncio.create_task(hold(event, leave)) for event in (second, third)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting[0].cancel()
        leave.set()
        await asyncio.wait_for(asyncio.gather(holding, waiting[1]), 60)
        assert (second.is_set(), third.is_set()) == (False, True)
        # Cancelled just when the place was handed over: it goes on to the next.
        leave.clear()
        first.clear()
        holding = asyncio.create_task(hold(first, leave))
        await first.wait()
        late = asyncio.create_task(hold(second, leave))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leave.set()
        await holding
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)

    ground.runner.run(all_of_it())
    assert repr(share.slots).endswith("0 tenants>")


@pytest.mark.parametrize("place", [place for place in SYNC_PLACES if place.postgresql], ids=str)
def test_everywhere_means_in_all_processes_together(ground: Ground, place: Place) -> None:
    here, there = (FairShare(ground.tenancy(place), concurrency=2, wait=wait, everywhere=True) for wait in (5, 0.05))
    near, far = (f"{side}-{place.cell}" for side in ("near", "far"))
    one = select(literal(1))
    with here.session(near) as first, here.session(near) as second:
        first.execute(one)
        second.execute(one)
        with there.session(near) as third:
            for _ in range(2):
                with pytest.raises(TenantBusy):
                    third.execute(one)
        with there.session(far) as neighbour:
            neighbour.execute(one)
        # A place is a transaction's and not the session's.
        second.commit()
        with there.session(near) as third:
            third.execute(one)
            assert third.scalar(text("SELECT current_setting('lock_timeout')")) == "0"


def test_what_leaves_a_tenant_nothing_is_refused(ground: Ground) -> None:
    tenancy = ground.tenancy(Place("sqlite-file", "sync"))
    for wrong in ({"concurrency": 0}, {"wait": -1}):
        with pytest.raises(ConfigurationError):
            FairShare(tenancy, **wrong)
    for wrong in ({"statements": 0}, {"rows": -1}, {"seconds": 0}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            TransactionBudget(**wrong)
