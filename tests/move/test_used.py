"""A tenant that is moved while eight writers write and two readers read: how long each is held, and what they see."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from children import Program
from sqlalchemy import func, select

from tenantry.errors import TenantMoved

from .crews import Crew, check_all_there, check_never_two, in_words, longest, started
from .grounds import PLACES, Ground, open_tenancy
from .models import Line, Ticket
from .traces import check_no_traces

WRITERS = 8
READERS = 2


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    program = started("writing.py")
    yield program
    program.close()


class Reader(threading.Thread):
    """Reads a tenant's rows on and on, through a router of its own."""

    def __init__(self, ground: Ground, slug: str) -> None:
        super().__init__(daemon=True)
        self._tenancy, _ = open_tenancy(ground.urls)
        self._slug = slug
        self._over = threading.Event()
        self.told: Counter[str] = Counter()

    def run(self) -> None:
        while not self._over.wait(0.01):
            try:
                with self._tenancy.session(self._slug, read_only=True) as session:
                    found = session.scalar(select(func.count()).select_from(Line))
                self.told["read" if found == self._lines else f"{found} of {self._lines}"] += 1
            except Exception as error:  # what is raised is what a reader was told
                self.told[type(error).__name__] += 1

    def begin(self) -> None:
        """Counts what is there, and reads on."""
        with self._tenancy.session(self._slug, read_only=True) as session:
            self._lines = session.scalar(select(func.count()).select_from(Line))
        self.start()

    def end(self) -> None:
        self._over.set()
        self.join(timeout=30)
        self._tenancy.close()


@contextmanager
def readers(ground: Ground, slug: str) -> Iterator[Counter[str]]:
    """Has readers read for a ``with`` block; what they were told is there afterwards."""
    told: Counter[str] = Counter()
    running = [Reader(ground, slug) for _ in range(READERS)]
    for reader in running:
        reader.begin()
    yield told
    for reader in running:
        reader.end()
        told.update(reader.told)


def use(ground: Ground, program: Program, directory: Path, road: tuple[str, ...], *, rows: int) -> str:
    """Moves a tenant along a road while it is used, and returns what was noticed of that, in words."""
    slug = ground.settle(f"used-{len(road)}-{rows}", road[0], rows=rows)
    sqlite = any("file" in place for place in road)
    crew, waits, held = (
        Crew(ground, program, slug, directory, writers=WRITERS, sqlite=sqlite),
        list[tuple[float, float]](),
        [],
    )
    try:
        with readers(ground, slug) as told:
            crew.write_on()
            for place in road[1:]:
                server, isolation = PLACES[place]
                begun = time.monotonic()
                held.append(ground.move.start(slug, server=server, isolation=isolation).held)
                waits.append((begun, time.monotonic()))
                crew.write_on()
                ground.move.finalize(slug)
                crew.write_on()
        writes = crew.end()
    finally:
        crew.kill()
    check_all_there(ground, slug, writes)
    check_never_two(writes)
    check_no_traces(ground, slug, but=road[-1])
    assert set(told) <= {"read", TenantMoved.__name__}, told
    assert told["read"]
    stalls = [wait for moment in waits for wait in longest(writes, *moment)]
    most = max(each for each in held if each is not None)
    return (
        f"{' to '.join(road)}: {len(writes)} writes acknowledged, none lost or doubled; a writer waited "
        f"{in_words(stalls)}; the fence stood for {most * 1000:.0f} ms at most; "
        f"{told['read']} reads, {told['TenantMoved']} told to look again, 0 empty"
    )


def test_a_tenant_is_moved_while_it_is_used(ground: Ground, program: Program, tmp_path: Path) -> None:
    print(f"\n{use(ground, program, tmp_path, ('rows', 'schema', 'file', 'rows'), rows=50)}")


@pytest.mark.soak
@pytest.mark.parametrize("rows", [50, 20_000])
def test_a_tenant_is_moved_along_every_kind_of_road_while_it_is_used(
    ground: Ground, program: Program, tmp_path: Path, rows: int
) -> None:
    road = (*PLACES, "rows") if rows == 50 else ("rows", "database", "other rows", "file", "schema")
    print(f"\n{use(ground, program, tmp_path, tuple(road), rows=rows)}")


def test_a_reader_that_finds_nothing_is_noticed(ground: Ground) -> None:
    """The control: rows that are gone are missed."""
    slug = ground.settle("is-cut", "rows")
    with readers(ground, slug) as told:
        with ground.postgres.admin(ground.main) as connection:
            tenant = ground.tenancy.tenants.get(slug).id
            connection.execute("set session_replication_role = replica")
            connection.execute("delete from public.lines where tenant_id = %s", (tenant,))
        time.sleep(0.3)
    assert set(told) - {"read"} == {"0 of 8"}
    with ground.tenancy.session(slug) as session:
        assert session.scalars(select(Ticket)).all()
