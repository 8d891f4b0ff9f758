"""Readers and writers in any order: nobody is ever told what a commit had made old, or what is another tenant's."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cells import CELLS, Ground, Place
from sqlalchemy import select, update

from tenantry.cache import Cache
from tenantry.cache.memory import MemoryStore
from tenantry.cache.stores import Entry, Look

from .interleaving import SIDES, Stale, World
from .models import Board

FEW = [("postgresql-rows", "memory", 20), ("sqlite-file", "memory", 12), ("postgresql-rows", "redis", 12)]
MANY: list[tuple[str, str, int]] = [(cell, store, 1_000) for cell in CELLS for store in ("memory", "redis")]

_NOBODY = uuid.UUID(int=0)


def cases(table: list[tuple[str, str, int]]) -> list[Any]:
    marks = {"memory": [], "redis": [pytest.mark.redis]}
    return [pytest.param(*case, id="-".join(case[:2]), marks=marks[case[1]]) for case in table]


def cache_of(ground: Ground, cell: str, store: str) -> Cache:
    found = ground.made(Place(cell, "sync")).by_store
    if store not in found:
        pytest.skip("redis-server is not installed here")
    return found[store]


def interleave(ground: Ground, cell: str, store: str, count: int) -> Counter[str]:
    """Runs so many interleavings and returns what happened in them."""
    cache, tenancy = cache_of(ground, cell, store), ground.tenancy(Place(cell, "sync"))
    before = cache.stats()
    world = World(tenancy, cell, cache)
    run(world, count)
    after = cache.stats()
    world.seen["hits"] = after.hits - before.hits
    world.seen["loaded and not kept"] = (after.misses - before.misses) - (after.kept - before.kept)
    return world.seen


def run(world: World, count: int) -> None:
    for seed in range(count):
        world.run(seed)


def check(seen: Counter[str], count: int) -> None:
    """The interleavings were what they should be."""
    assert seen["interleavings"] == count
    assert seen["hits"] > count / 2
    for kind in ("commits", "readers amid a commit", "interrupted reads", "loaded and not kept"):
        assert seen[kind] > 0, kind


@pytest.mark.parametrize(("cell", "store", "count"), cases(FEW))
def test_nobody_is_told_what_is_old_or_foreign(ground: Ground, cell: str, store: str, count: int) -> None:
    check(interleave(ground, cell, store, count), count)


@pytest.mark.soak
@pytest.mark.parametrize(("cell", "store", "count"), cases(MANY))
def test_ten_thousand_interleavings(
    ground: Ground, cell: str, store: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = interleave(ground, cell, store, count)
    with capsys.disabled():
        print(f"\n{cell} {store}: {', '.join(f'{number} {kind}' for kind, number in seen.items())}; 0 stale or foreign")
    check(seen, count)


class Careless(MemoryStore):
    """A store that keeps whatever a reader brings, as if nothing had been dropped since it looked."""

    def fill(self, entry: Entry, look: Look, value: bytes, *, ttl: float) -> bool:
        token = self.look(entry, lead_for=0).token
        return super().fill(entry, dataclasses.replace(look, token=token), value, ttl=ttl)


class Mixing(MemoryStore):
    """A store that forgets whose a result is."""

    def look(self, entry: Entry, *, lead_for: float) -> Look:
        return super().look(Entry(_NOBODY, entry.place, entry.tags), lead_for=lead_for)

    def fill(self, entry: Entry, look: Look, value: bytes, *, ttl: float) -> bool:
        return super().fill(Entry(_NOBODY, entry.place, entry.tags), look, value, ttl=ttl)


class Deaf(MemoryStore):
    """A store that hears of no commit."""

    def close(self, tenant: Any, tags: Any, *, writer: str, seconds: float) -> None:
        return

    def open(self, tenant: Any, tags: Any, *, writer: str) -> None:
        return


@pytest.mark.parametrize("kind", [Careless, Mixing, Deaf])
def test_the_interleavings_find_a_store_that_is_wrong(ground: Ground, kind: type[MemoryStore]) -> None:
    tenancy = ground.tenancy(Place("postgresql-rows", "sync"))
    world = World(tenancy, "postgresql-rows", Cache(tenancy, kind(), name=kind.__name__))
    with pytest.raises(Stale):
        run(world, 200)


def race(ground: Ground, cell: str, store: str, writes: int) -> int:
    """One writer and three readers at once: nobody reads less than what was committed before he asked."""
    cache, tenancy = cache_of(ground, cell, store), ground.tenancy(Place(cell, "sync"))
    keys = {side: f"{side}-{cell}" for side in SIDES}
    numbers, name = {}, f"race {uuid.uuid4()}"
    for side, key in keys.items():
        with tenancy.transaction(key) as db:
            board = Board(title="0")
            db.add(board)
            db.flush()
            numbers[side] = board.id
    floor, over = dict.fromkeys(SIDES, 0), threading.Event()

    def write() -> None:
        try:
            for number in range(1, writes + 1):
                for side, key in keys.items():
                    with tenancy.transaction(key) as db:
                        db.execute(update(Board).where(Board.id == numbers[side]).values(title=str(number)))
                    floor[side] = number
        finally:
            over.set()

    def read() -> int:
        reads = 0
        while not over.is_set():
            for side, key in keys.items():
                least = floor[side]
                mine = numbers[side]
                load = lambda db, mine=mine: db.scalar(select(Board.title).where(Board.id == mine))  # noqa: E731  # short
                assert int(cache.get(key, name, load, reads=[Board])) >= least
                reads += 1
        return reads

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        pool.submit(write).result()
        total = sum(reader.result() for reader in readers)
    for side, key in keys.items():
        mine = numbers[side]
        found = cache.get(key, name, lambda db, mine=mine: db.get_one(Board, mine).title, reads=[Board])
        assert found == str(writes)
    return total


@pytest.mark.parametrize(("cell", "store", "writes"), cases(FEW))
def test_threads_at_once_never_read_behind_a_commit(ground: Ground, cell: str, store: str, writes: int) -> None:
    assert race(ground, cell, store, writes) > 0


@pytest.mark.soak
@pytest.mark.parametrize(("cell", "store", "writes"), cases(MANY))
def test_threads_at_once_for_long(
    ground: Ground, cell: str, store: str, writes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    reads = race(ground, cell, store, writes)
    with capsys.disabled():
        print(f"\n{cell} {store}: {reads} reads beside {2 * writes} commits; 0 behind")
    assert reads > 0
