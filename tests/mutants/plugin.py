"""A pytest plugin: ``--mutant NAME`` plants a fault before any world of the leak suite is built.

``--outcomes FILE`` notes, for each test, how it ended: "passed", "leaked" where it saw what the fault lets through, or
"broken".
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mutants import MUTANTS

# What the leak suite says when rows of one tenant came to another, and other rooms when a statement went through that
# the database refuses; anything else that fails is no evidence.
_LEAK = re.compile(r"\AAssertionError: (?:leaked: |the next session of )|\AFailed: DID NOT RAISE .*DBAPIError")


class Outcomes:
    """Writes one line for each test that ended."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.failed:
            with self._file.open("a") as lines:
                lines.write(json.dumps([report.nodeid, _outcome(report), _message(report)]) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutant", choices=list(MUTANTS), help="plant this fault in the library")
    parser.addoption("--outcomes", type=Path, help="note in this file how each test ended")


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("--outcomes"):
        config.pluginmanager.register(Outcomes(file))
    if name := config.getoption("--mutant"):
        patch = pytest.MonkeyPatch()
        config.add_cleanup(patch.undo)
        MUTANTS[name].plant(patch)


def _outcome(report: pytest.TestReport) -> str:
    if report.passed:
        return "passed"
    return "leaked" if report.when == "call" and _LEAK.match(_message(report)) else "broken"


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else str(report.longrepr or "")
