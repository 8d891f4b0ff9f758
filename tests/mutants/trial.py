"""The trial of a planted fault: chosen tests in a process of their own, once without it and once with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PLUGINS = ("-p", "mutants.plugin", "-p", "no:cacheprovider", "-p", "no:xdist")


@dataclass(frozen=True, slots=True)
class Ending:
    """How one test ended: "passed", "leaked" or "broken"; and what it said."""

    test: str
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the chosen tests, and all that pytest printed."""

    endings: tuple[Ending, ...]
    output: str

    def tests(self, outcome: str) -> list[str]:
        """Returns the tests that ended so."""
        return [ending.test for ending in self.endings if ending.outcome == outcome]


def run(tests: Iterable[str], *, server: str, notes: Path, mutant: str | None = None) -> Trial:
    """Runs tests against the PostgreSQL server at the URL *server*, with a fault planted or without."""
    planted = ["--mutant", mutant] if mutant else []
    paths = [str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *_PLUGINS, "--outcomes", notes, *planted, *tests],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "TENANTRY_TEST_URLS": server},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    lines = notes.read_text().splitlines() if notes.exists() else []
    return Trial(tuple(Ending(*json.loads(line)) for line in lines), done.stdout + done.stderr)
