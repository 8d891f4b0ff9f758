"""``make bench``: ratios, measured side by side in this run, into docs/benchmarks.md. ARGS="--quick" only prints."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import (
    archives,
    auditing,
    costs,
    fairness,
    files,
    limits,
    migrations,
    observing,
    page,
    provisioning,
    searching,
    searching_files,
    sessions,
)
from bench.stage import stage

Options = argparse.Namespace


def _sessions(options: Options) -> None:
    print(f"Setting the stage: {options.schemas} schemas ...", file=sys.stderr)
    with stage(options.schemas) as made:
        sessions.synchronous(made, options.rounds)
        for driver in ("psycopg", "asyncpg"):
            sessions.asynchronous(made, options.rounds, options.peers, driver)
        costs.lookups(made, options.rounds)
        costs.memory(made)
    costs.starts()


def _files(options: Options) -> None:
    files.reads(options.rounds)


def _provisioning(options: Options) -> None:
    provisioning.report(max(20, options.rounds // 20))


def _migrations(options: Options) -> None:
    migrations.schemas(options.schemas)
    migrations.files(options.schemas)


def _fairness(options: Options) -> None:
    fairness.report(max(3.0, options.rounds / 100))


def _limits(options: Options) -> None:
    limits.report(options.rounds)


def _auditing(options: Options) -> None:
    auditing.report(options.rounds)


def _observing(options: Options) -> None:
    with stage(0) as made:
        observing.report(made, options.rounds)


def _archives(options: Options) -> None:
    few = options.rounds < 1000
    archives.report(10_000 if few else 100_000, 3 if few else 7, large=200_000 if few else 2_000_000)


def _search(options: Options) -> None:
    few = options.rounds < 1000
    documents, rounds = options.documents or (50_000 if few else 1_000_000), 11 if few else 31
    searching.report(documents, rounds)
    searching_files.report_files(documents // 10, rounds)


# Each part stands alone: python -m bench --only files
PARTS: Final[dict[str, Callable[[Options], None]]] = {
    "archives": _archives,
    "auditing": _auditing,
    "observing": _observing,
    "search": _search,
    "sessions": _sessions,
    "files": _files,
    "provisioning": _provisioning,
    "migrations": _migrations,
    "limits": _limits,
    "fairness": _fairness,
}


def main() -> None:
    """Runs every part in turn, or the one that was asked for."""
    options = _options()
    print(f"# Benchmarks\n\n{page.versions()}")
    for name, part in PARTS.items():
        if options.only not in (None, name):
            continue
        if options.quick:
            part(options)
        else:
            tried = f"{options.rounds} rounds, {options.schemas} schemas where there are many"
            section = page.recorded(name, functools.partial(part, options), tried=tried)
            page.write(name, section, PARTS)


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--rounds", type=int, default=2000, help="turns of each contestant")
    parser.add_argument("--schemas", type=int, default=1000, help="schemas, or files, in turn")
    parser.add_argument("--documents", type=int, help="documents to search among, a million unless it is quick")
    parser.add_argument("--quick", action="store_true", help="200 rounds, 50 schemas")
    parser.add_argument("--peers", type=Path, default=Path("build/peer"), help="where the peer's environment is made")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.schemas = 200, 50
    return options


main()
