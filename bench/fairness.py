"""One hog and nine quiet tenants in one process: what the quiet ones wait for alone, beside it, and with fair share."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import select, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bench.models import Base, Ticket, row_id
from bench.stage import fill
from tenantry import Config, Tenancy, TenantSession
from tenantry.embedded import PostgresServer
from tenantry.errors import TenantBusy, TransactionBudgetExceeded
from tenantry.limits import FairShare, TransactionBudget

QUIET = [f"quiet-{number}" for number in range(9)]
HOG = "hog"
HOG_THREADS = 20
# Five requests a second from each quiet tenant, at times that do not wait for the answers.
EVERY = 0.2
BLOCKS = 3
# How long somebody stands in line for a place.
WAIT = 1.0
# A tenth of a second of one core, or so.
HEAVY = text("SELECT sum(sqrt(number)) FROM generate_series(1, 600000) AS number")

Opening = Callable[[str], AbstractContextManager[TenantSession]]


@dataclass(slots=True)
class Tally:
    """What one arrangement came to: the waits of the quiet in seconds, and what the hog got."""

    waits: list[float] = field(default_factory=list)
    failed: int = 0
    heavy: int = 0
    turned_away: int = 0

    def percentile(self, part: float) -> float:
        """Returns the wait in milliseconds that this part of the requests did not exceed."""
        ordered = sorted(self.waits)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def report(seconds: float) -> None:
    """Prints how long the quiet tenants wait, alone and beside the hog, without and with limits."""
    with _tenancy() as tenancy:
        share = FairShare(tenancy, concurrency=1, wait=WAIT, budget=TransactionBudget(seconds=1.0, rows=10_000))
        found = {name: Tally() for name in ("solo", "off", "on")}
        ways: dict[str, tuple[Opening, bool]] = {
            "solo": (tenancy.session, False),
            "off": (tenancy.session, True),
            "on": (share.session, True),
        }
        # What happens once, such as opening connections, is nobody's wait.
        for opening in (tenancy.session, share.session):
            _run(opening, Tally(), seconds=1.0, hog=True)
        # As servers do once they are up: else every thread waits while old objects are looked through.
        gc.collect()
        gc.freeze()
        for _ in range(BLOCKS):
            for name, (opening, hog) in ways.items():
                _run(opening, found[name], seconds=seconds / BLOCKS, hog=hog)
    _print(found, seconds)


def _print(found: dict[str, Tally], seconds: float) -> None:
    print(f"\n## Fair share: a hog of {HOG_THREADS} threads and nine quiet tenants, PostgreSQL, {seconds:.0f} s each\n")
    print("| limits | requests | failed | p50 ms | p99 ms | slowest ms | p99 / solo | the hog's | turned away |")
    print("|---|---|---|---|---|---|---|---|---|")
    solo = found["solo"].percentile(0.99)
    for name, tally in found.items():
        median, ninety_nine = 1000 * statistics.median(tally.waits), tally.percentile(0.99)
        figures = f"{median:.1f} | {ninety_nine:.1f} | {1000 * max(tally.waits):.1f} | {ninety_nine / solo:.2f}"
        print(
            f"| {name} | {len(tally.waits)} | {tally.failed} | {figures} | {tally.heavy} | {tally.turned_away} |",
            flush=True,
        )


def _run(opening: Opening, tally: Tally, *, seconds: float, hog: bool) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(HOG_THREADS) as hogs, ThreadPoolExecutor(len(QUIET)) as quiet:
        burning = [hogs.submit(_burn, opening, over, WAIT * n / HOG_THREADS) for n in range(HOG_THREADS if hog else 0)]
        begin = time.perf_counter() + (WAIT if hog else 0.0)
        # Not all at the same moment, as no two customers are.
        starts = [begin + EVERY * number / len(QUIET) for number in range(len(QUIET))]
        try:
            asking = [quiet.submit(_ask, opening, *one, seconds) for one in zip(QUIET, starts, strict=True)]
            for asked in asking:
                waits, failed = asked.result()
                tally.waits, tally.failed = tally.waits + waits, tally.failed + failed
        finally:
            over.set()
        for burnt in burning:
            done, away = burnt.result()
            tally.heavy, tally.turned_away = tally.heavy + done, tally.turned_away + away


def _ask(opening: Opening, tenant: str, start: float, seconds: float) -> tuple[list[float], int]:
    """Asks at fixed times; a wait counts from the time at which it should have been asked, if it fails too."""
    waits: list[float] = []
    number = failed = 0
    while (due := start + EVERY * number) < start + seconds:
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            with opening(tenant) as session:
                session.get(Ticket, row_id(number))
                session.scalars(select(Ticket).order_by(Ticket.id).limit(20)).all()
        except PoolTimeout:
            failed += 1
        waits.append(time.perf_counter() - due)
        number += 1
        if time.perf_counter() > start + 3 * seconds:
            break
    return waits, failed


def _burn(opening: Opening, over: threading.Event, begin: float) -> tuple[int, int]:
    """Asks again as soon as it was answered or turned away, as somebody does who means no good."""
    done = away = 0
    # All at one moment they would be turned away at one moment, again and again.
    over.wait(begin)
    while not over.is_set():
        try:
            with opening(HOG) as session:
                session.execute(HEAVY)
            done += 1
        except (TenantBusy, TransactionBudgetExceeded, PoolTimeout):
            away += 1
    return done, away


@contextmanager
def _tenancy() -> Iterator[Tenancy]:
    with PostgresServer() as server:
        owner_url = server.url("bench")
        first = Tenancy(owner_url, models=Base)
        first.install(create_tables=True)
        app_url = first.create_login("bench_app")
        first.close()
        # As many connections as are ever wanted at once without the hog: none is opened while somebody waits.
        config = Config(route_ttl=300.0, pool_size=15, max_overflow=0, pool_timeout=5.0)
        tenancy = Tenancy(app_url, models=Base, owner_url=owner_url, config=config)
        try:
            for slug in (*QUIET, HOG):
                fill(tenancy, tenancy.tenants.create(slug))
            yield tenancy
        finally:
            tenancy.close()
