"""One ground for the run, a door for each test, and the table of what was called where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from .doors import PLACES, Door, Ground, Place, opened


@pytest.fixture(scope="session")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    found = Ground(postgres, tmp_path_factory.mktemp("repository"))
    yield found
    found.close()


@pytest.fixture(params=PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def door(ground: Ground, place: Place) -> Iterator[Door]:
    """A session of a tenant with seven tickets, in each cell through each door."""
    with opened(ground, place) as door:
        yield door


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    proved = Counter(
        text.partition("|")[::2]
        for report in terminalreporter.getreports("passed")
        for name, text in report.user_properties
        if name == "repository_method" and report.when == "call"
    )
    if proved:
        _print_table(terminalreporter, proved)


def _print_table(reporter: pytest.TerminalReporter, proved: Counter[tuple[str, str]]) -> None:
    """Prints what each method proved: the number of tests passed, by cell and door."""
    places = [f"{place.cell}|{place.door}" for place in PLACES]
    reporter.section(f"repository methods: {len(proved)} of method x door x cell passed")
    for part in (0, 1):
        heads = [place.split("|")[part].removeprefix("postgresql-").removeprefix("sqlite-") for place in places]
        reporter.line(f"{'':24}" + "".join(f"{head:>10}" for head in heads))
    for method in dict.fromkeys(method for method, _ in proved):
        marks = ["ok" if proved[method, place] else "-" for place in places]
        reporter.line(f"{method:24}" + "".join(f"{mark:>10}" for mark in marks))
