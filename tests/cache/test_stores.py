"""What every store of results keeps to, whatever becomes of those who use it: leads, closings, times, losses."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cells import Ground, Place
from limits.redis_server import PROGRAM, redis_server
from redis import Redis
from sqlalchemy import select, text

from tenantry import Tenancy
from tenantry.cache import Cache, Store
from tenantry.cache.memory import MemoryStore
from tenantry.cache.redis import RedisStore
from tenantry.cache.stores import Answer, Entry, Look
from tenantry.errors import CacheUnavailable, ConfigurationError, OutcomeUnknown

from .models import Base, Board

HERE = Place("postgresql-rows", "sync")
KEY = "near-postgresql-rows"
NEEDS_REDIS = [pytest.mark.redis, pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed here")]


class Shelf:
    """One entry in one store, under two tags."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.entry = Entry(uuid.uuid4(), "here", ("all", "table:boards"))

    def look(self, lead_for: float = 10.0) -> Look:
        return self.store.look(self.entry, lead_for=lead_for)

    def fill(self, look: Look, value: bytes = b"1", ttl: float = 60.0) -> bool:
        return self.store.fill(self.entry, look, value, ttl=ttl)

    def close(self, tag: str = "table:boards", writer: str = "w", seconds: float = 60.0) -> None:
        self.store.close(self.entry.tenant, [tag], writer=writer, seconds=seconds)

    def open(self, tag: str = "table:boards", writer: str = "w") -> None:
        self.store.open(self.entry.tenant, [tag], writer=writer)


@pytest.fixture(params=["memory", pytest.param("redis", marks=NEEDS_REDIS)])
def shelf(request: pytest.FixtureRequest, stores: dict[str, Store]) -> Shelf:
    """An entry of its own in each store."""
    return Shelf(stores[request.param])


def test_one_leads_and_the_others_wait(shelf: Shelf) -> None:
    lead = shelf.look()
    assert lead.answer is Answer.LEAD
    assert shelf.look().answer is Answer.WAIT
    assert shelf.fill(lead)
    assert (shelf.look().answer, shelf.look().value) == (Answer.HIT, b"1")


def test_who_may_not_fill_never_leads(shelf: Shelf) -> None:
    assert shelf.look(0).answer is Answer.WAIT
    assert shelf.look().answer is Answer.LEAD


def test_a_lead_is_given_up_only_by_who_has_it(shelf: Shelf) -> None:
    lead = shelf.look()
    shelf.store.abandon(shelf.entry, shelf.look())
    assert shelf.look().answer is Answer.WAIT
    shelf.store.abandon(shelf.entry, lead)
    assert shelf.look().answer is Answer.LEAD


def test_what_is_dropped_is_neither_found_nor_filled(shelf: Shelf) -> None:
    assert shelf.fill(shelf.look())
    shelf.close()
    assert shelf.look().answer is Answer.CLOSED
    shelf.open()
    lead = shelf.look()
    assert lead.answer is Answer.LEAD
    shelf.close("all")
    assert not shelf.fill(lead)
    shelf.open("all")
    assert not shelf.fill(lead)
    assert shelf.look().answer is Answer.LEAD


def test_a_lead_from_before_a_drop_stops_nobody(shelf: Shelf) -> None:
    shelf.look()
    shelf.close()
    shelf.open()
    assert shelf.look().answer is Answer.LEAD


def test_each_writer_opens_only_what_it_closed(shelf: Shelf) -> None:
    shelf.close(writer="one")
    shelf.close(writer="two")
    shelf.open(writer="one")
    assert shelf.look().answer is Answer.CLOSED
    shelf.open(writer="two")
    assert shelf.look().answer is Answer.LEAD


def test_another_tag_or_tenant_drops_nothing(shelf: Shelf) -> None:
    assert shelf.fill(shelf.look())
    shelf.close("table:cards")
    shelf.store.close(uuid.uuid4(), ["table:boards"], writer="w", seconds=60)
    assert shelf.look().answer is Answer.HIT


def test_what_was_forgotten_is_not_filled_by_who_was_loading(shelf: Shelf) -> None:
    assert shelf.fill(shelf.look())
    shelf.close()
    shelf.open()
    lead = shelf.look()
    assert shelf.store.forget(shelf.entry.tenant, None) == 1
    assert not shelf.fill(lead)
    assert shelf.store.forget(shelf.entry.tenant, None) == 0


def test_times_end_by_themselves(shelf: Shelf) -> None:
    """A result, a lead, and what a dead writer closed."""
    assert shelf.fill(shelf.look(), ttl=0.05)
    other = Shelf(shelf.store)
    assert other.look(0.05).answer is Answer.LEAD
    closed = Shelf(shelf.store)
    old = closed.look()
    closed.close(seconds=0.05)
    # How long it really was decides nothing: each answer changes for good once the time is over.
    assert _until(lambda: shelf.look(0).answer is Answer.WAIT)
    assert _until(lambda: other.look().answer is Answer.LEAD)
    assert _until(lambda: closed.look(0).answer is not Answer.CLOSED)
    assert not closed.fill(old)


def _until(true: Any) -> bool:
    deadline = time.monotonic() + 20
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_memory_follows_the_clock_it_is_given() -> None:
    now = 100.0
    shelf = Shelf(MemoryStore(clock=lambda: now))
    assert shelf.fill(shelf.look(), ttl=60)
    now = 159.9
    assert shelf.look().answer is Answer.HIT
    now = 160.0
    assert shelf.look().answer is Answer.LEAD


def test_memory_is_bounded() -> None:
    store = MemoryStore(max_bytes=10_000)
    shelves = [Shelf(store) for _ in range(100)]
    for shelf in shelves:
        assert shelf.fill(shelf.look(), b"x" * 700)
    assert sum(shelf.look().answer is Answer.HIT for shelf in shelves) == 10
    assert shelves[-1].look().answer is Answer.HIT
    assert not shelves[0].fill(shelves[0].look(), b"x" * 20_000)
    with pytest.raises(ConfigurationError):
        MemoryStore(max_bytes=0)


@pytest.mark.redis
@pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed here")
class TestRedis:
    def test_what_is_evicted_is_missed_and_never_found_old(self, tmp_path: Path) -> None:
        """Whatever key goes, and in whatever order."""
        with redis_server(tmp_path) as server, Redis.from_url(server.url) as client:
            store = RedisStore(server.url, timeout=10)
            for gone in ("result", "number", "lead", "*"):
                shelf = Shelf(store)
                assert shelf.fill(shelf.look())
                shelf.look()
                stale = Shelf(store)
                before = stale.look()
                client.delete(*client.keys(f"*:cache:{gone}:*") or ["none"])
                if gone != "lead":
                    assert shelf.look().answer is Answer.LEAD
                stale.close()
                client.delete(*client.keys("*:cache:closed:*"))
                assert not stale.fill(before)
            store.close_connections()

    @pytest.mark.soak
    def test_a_cluster_keeps_each_tenant_on_one_node(self, tmp_path: Path) -> None:
        with redis_server(tmp_path, cluster=True) as server:
            store = RedisStore(server.url, cluster=True, timeout=10)
            for shelf in [Shelf(store) for _ in range(5)]:
                assert shelf.fill(shelf.look())
                shelf.close()
                shelf.open()
                assert shelf.fill(shelf.look())
                assert store.forget(shelf.entry.tenant, None) == 1
            store.close_connections()

    def test_everything_is_forgotten_whatever_the_keys_begin_with(self, tmp_path: Path) -> None:
        with redis_server(tmp_path) as server:
            for prefix in ("[shop]", "a*b?", "c\\d^"):
                store = RedisStore(server.url, prefix=prefix, timeout=10)
                shelf = Shelf(store)
                assert shelf.fill(shelf.look())
                assert store.forget(shelf.entry.tenant, None) == 1
                assert shelf.look().answer is Answer.LEAD
                store.close_connections()

    def test_nothing_of_a_persons_stands_in_a_key(self, tmp_path: Path) -> None:
        with redis_server(tmp_path) as server, Redis.from_url(server.url) as client:
            store = RedisStore(server.url, timeout=10)
            shelf = Shelf(store)
            shelf.entry = Entry(uuid.uuid4(), "digest", ("all", "tag:ann@example.com"))
            assert shelf.fill(shelf.look())
            shelf.close("tag:ann@example.com")
            keys = b" ".join(client.keys("*"))
            assert b":result:" in keys
            assert b"ann" not in keys
            store.close_connections()

    def test_without_redis_readers_read_and_commits_are_refused(self, tmp_path: Path) -> None:
        with redis_server(tmp_path) as server:
            strict, tenancy = _opened(tmp_path / "strict", server.url, stale_when_down=False)
            loose, other = _opened(tmp_path / "loose", server.url, stale_when_down=True)
            with tenancy.transaction("acme") as db:
                db.add(Board(title="first"))
            assert strict.get("acme", "titles", _titles, reads=[Board]) == ["first"]
            server.stop()
            assert strict.get("acme", "titles", _titles, reads=[Board]) == ["first"]
            assert strict.stats().unavailable == 1
            with pytest.raises(CacheUnavailable, match="Nothing was committed"), tenancy.transaction("acme") as db:
                db.add(Board(title="second"))
            with tenancy.session("acme", read_only=True) as db:
                assert _titles(db) == ["first"]
                db.commit()
            with other.transaction("acme") as db:
                db.add(Board(title="kept"))
            assert loose.get("acme", "titles", _titles) == ["kept"]
            with pytest.raises(CacheUnavailable):
                strict.clear("acme")
            server.start()
            with tenancy.transaction("acme") as db:
                db.add(Board(title="second"))
            assert strict.get("acme", "titles", _titles, reads=[Board]) == ["first", "second"]
            for store in (strict.store, loose.store):
                store.close_connections()
            tenancy.close()
            other.close()


def _opened(directory: Path, url: str, *, stale_when_down: bool) -> tuple[Cache, Tenancy]:
    tenancy = Tenancy(f"sqlite:///{directory}", models=Base)
    store = RedisStore(url, prefix=directory.name, timeout=10)
    cache = Cache(tenancy, store, stale_when_down=stale_when_down)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme")
    return cache, tenancy


def _titles(db: Any) -> list[str]:
    return list(db.scalars(select(Board.title).order_by(Board.title)))


@pytest.mark.parametrize("store", ["memory", pytest.param("redis", marks=NEEDS_REDIS)])
def test_of_many_threads_one_loads(ground: Ground, store: str) -> None:
    cache, name, loads = ground.made(HERE).by_store[store], f"crowd {uuid.uuid4()}", []
    together = threading.Barrier(8)

    def load(db: Any) -> int:
        loads.append(1)
        return db.scalar(text("SELECT 7 FROM pg_sleep(0.05)"))

    def ask() -> int:
        together.wait(20)
        return cache.get(KEY, name, load)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask) for _ in range(8)]
        assert [found.result() for found in asked] == [7] * 8
    assert len(loads) == 1


@pytest.mark.parametrize("store", ["memory", pytest.param("redis", marks=NEEDS_REDIS)])
@pytest.mark.parametrize("door", ["psycopg", "asyncpg"])
def test_of_many_tasks_one_loads(ground: Ground, store: str, door: str) -> None:
    cache = ground.made(Place("postgresql-rows", door)).by_store[store]
    name, loads = f"crowd {uuid.uuid4()}", []

    async def load(db: Any) -> int:
        loads.append(1)
        return await db.scalar(text("SELECT 7 FROM pg_sleep(0.05)"))

    async def ask() -> list[int]:
        return await asyncio.gather(*(cache.aio.get(KEY, name, load) for _ in range(8)))

    assert ground.runner.run(ask()) == [7] * 8
    assert len(loads) == 1


def test_who_waits_too_long_loads_alone(ground: Ground) -> None:
    tenancy = ground.tenancy(HERE)
    cache = Cache(tenancy, MemoryStore(), lead_for=0.05)
    loads = []

    def slowly(db: Any) -> int:
        loads.append("slow")
        assert cache.get(KEY, "same", lambda _: loads.append("other") or 2) == 2
        return 1

    assert cache.get(KEY, "same", slowly) == 1
    assert loads == ["slow", "other"]


def test_a_commit_that_fails_in_the_database_leaves_its_tags_closed(ground: Ground) -> None:
    """It may have happened all the same: nobody knows when the answer is lost."""
    tenancy = ground.tenancy(HERE)
    cache = Cache(tenancy, MemoryStore())
    cache.get(KEY, "titles", _titles)
    with tenancy.session(KEY) as db:
        db.add(Board(title="lost"))
        db.flush()
        _kill(ground, db)
        with pytest.raises(OutcomeUnknown):
            db.commit()
    before = cache.stats().kept
    assert "lost" not in cache.get(KEY, "titles", _titles)
    assert cache.stats().kept == before


def _kill(ground: Ground, db: Any) -> None:
    """Ends the server's side of a session's connection."""
    backend = db.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(ground.owner_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))
