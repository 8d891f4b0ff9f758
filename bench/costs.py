"""What else is paid: looking tenants up, importing the library, starting the command, memory for many tenants."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import psycopg

from bench.samples import table
from bench.stage import Stage
from tenantry.ids import uuid7

_STARTS = 11


def lookups(stage: Stage, rounds: int) -> None:
    """Prints looking a tenant up and binding a transaction to it, in a small and in a large catalog."""
    samples = {"100 tenants in the catalog": _looked_up(stage, 100, rounds)}
    samples["100,000 tenants in the catalog"] = _looked_up(stage, 100_000, rounds)
    samples["kept route (either size)"] = _kept(stage, rounds)
    print(table("resolve and bind (lookup by slug, BEGIN, ROLLBACK)", samples), flush=True)


def _looked_up(stage: Stage, size: int, rounds: int) -> list[float]:
    _fill_catalog(stage.owner_url, size)
    seconds = []
    for number in range(rounds):
        stage.tenancy.router.clear()
        begun = time.perf_counter()
        with stage.tenancy.session(f"bulk-{number * 7919 % size}") as session:
            session.connection()
        seconds.append(time.perf_counter() - begun)
    return seconds


def _kept(stage: Stage, rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        with stage.tenancy.session("common") as session:
            session.connection()
        seconds.append(time.perf_counter() - begun)
    return seconds


def _fill_catalog(owner_url: str, size: int) -> None:
    with psycopg.connect(owner_url) as owner:
        present = owner.execute("SELECT count(*) FROM tenantry.tenants WHERE slug LIKE 'bulk-%'").fetchone()
        first = present[0] if present else 0
        new = [(uuid7(), f"bulk-{number}") for number in range(first, size)]
        columns = "id, slug, name, status, settings, epoch, created_at, updated_at"
        tenants = f"COPY tenantry.tenants ({columns}) FROM STDIN"
        with owner.cursor().copy(tenants) as copy:
            for identifier, slug in new:
                copy.write_row((identifier, slug, slug, "active", "{}", 1, "now", "now"))
        with owner.cursor().copy(
            "COPY tenantry.placements (tenant_id, epoch, server, isolation, physical) FROM STDIN"
        ) as copy:
            for identifier, _ in new:
                copy.write_row((identifier, 1, "main", "rows", ""))
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE tenantry.tenants, tenantry.placements")


def memory(stage: Stage, tenants: int = 1000) -> None:
    """Prints how much memory the routes of many tenants keep; needs a catalog filled by ``lookups``."""
    stage.tenancy.router.clear()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(tenants):
        with stage.tenancy.session(f"bulk-{number}") as session:
            session.connection()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\nMemory kept for {tenants} tenants: {(after - before) / 1e6:.2f} MB (process peak {peak} MB)")


def starts() -> None:
    """Prints what importing the library and starting the command cost beside what they stand on."""
    command = str(Path(sys.executable).parent / "tenantry")
    python = sys.executable
    samples = {
        "python -c 'import sqlalchemy.orm'": [python, "-c", "import sqlalchemy.orm"],
        "python -c 'import tenantry'": [python, "-c", "import tenantry"],
        "tenantry --help": [command, "--help"],
        "python -c pass": [python, "-c", "pass"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in samples}
    for _ in range(_STARTS):
        for name, words in samples.items():
            begun = time.perf_counter()
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)  # our own words
            seconds[name].append(time.perf_counter() - begun)
    print("\n### Starting\n\n| command | median ms |\n| --- | ---: |")
    for name, values in seconds.items():
        print(f"| {name} | {statistics.median(values) * 1e3:.0f} |")
