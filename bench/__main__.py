"""``make bench``: prints ratios, measured side by side in this run. ARGS="--quick" for a first look."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import psycopg
import sqlalchemy

from bench import costs, sessions
from bench.stage import stage


def main() -> None:
    """Runs every part in turn."""
    options = _options()
    rounds = 200 if options.quick else options.rounds
    schemas = 50 if options.quick else options.schemas
    python = platform.python_version()
    print(f"# Benchmarks\n\nPython {python}, SQLAlchemy {sqlalchemy.__version__}, psycopg {psycopg.__version__}")
    print(f"Setting the stage: {schemas} schemas ...", file=sys.stderr)
    with stage(schemas) as made:
        sessions.synchronous(made, rounds)
        for driver in ("psycopg", "asyncpg"):
            sessions.asynchronous(made, rounds, options.peers, driver)
        costs.lookups(made, rounds)
        costs.memory(made)
    costs.starts()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="turns of each contestant")
    parser.add_argument("--schemas", type=int, default=1000, help="schemas read in turn")
    parser.add_argument("--quick", action="store_true", help="200 rounds, 50 schemas")
    parser.add_argument("--peers", type=Path, default=Path("build/peer"), help="where the peer's environment is made")
    return parser.parse_args()


main()
