"""Processes that never learn of a move: what they still send to the old place is refused, and no list looks empty."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from children import Program

from tenantry.events import listen

from .crews import started
from .grounds import PLACES, Ground, everywhere

DOORS = ("", "psycopg", "", "asyncpg")
WELL = {"accepted", "found", "empty"}


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    program = started("stale.py")
    yield program
    program.close()


@contextmanager
def frozen(ground: Ground, program: Program, slug: str, *, processes: int) -> Iterator[Program]:
    """Has processes open the tenant where it is now, and never look again."""
    job = {"urls": ground.urls, "slug": slug, "doors": [DOORS[n % len(DOORS)] for n in range(processes)]}
    assert program.tell(json.dumps(job)) == "ready\n"
    yield program
    assert program.tell("") == "ended\n"


def tried(program: Program) -> Counter[str]:
    """Returns what the processes were told, together."""
    return Counter(json.loads(program.tell("go")))


@everywhere()
def test_a_stale_router_is_refused(ground: Ground, program: Program, place: str) -> None:
    slug = ground.settle(f"stale-{place.replace(' ', '-')}", place)
    server, isolation = PLACES["schema" if place != "schema" else "rows"]
    with frozen(ground, program, slug, processes=8) as processes:
        before = tried(processes)
        assert set(before) == {"accepted", "found"}, before
        ground.move.start(slug, server=server, isolation=isolation)
        content = ground.content(slug)
        kept = tried(processes)
        assert set(kept) == {"TenantMoved"}, kept
        ground.move.finalize(slug)
        ended = tried(processes)
        # A place that is gone has its own words for that.
        assert not WELL & set(ended), ended
        assert PLACES[place][1] != "rows" or set(ended) == {"TenantMoved"}, ended
        assert ground.content(slug) == content
    print(f"\n{place}: {kept.total() + ended.total()} late uses by 8 processes, 0 accepted, 0 empty")


def test_who_remembers_an_earlier_stay_is_refused_while_the_tenant_comes_back(ground: Ground, program: Program) -> None:
    """Three places: what was frozen at the first must not write there before the tenant lives there again."""
    slug = ground.settle("comes-back", "schema")
    with frozen(ground, program, slug, processes=2) as processes:
        tried(processes)
        ground.move.start(slug, isolation="rows")
        ground.move.finalize(slug)
        late: list[Counter[str]] = []
        forget = listen(lambda step: late.append(tried(processes)) if step.name in ("fence", "open") else None)
        try:
            ground.move.start(slug, isolation="schema")
        finally:
            forget()
        assert [set(each) for each in late] == [{"TenantMoved"}] * 2
        # It lives there again.
        assert set(tried(processes)) == {"accepted", "found"}
