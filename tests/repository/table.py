"""The table at the end of a run: each public method, and whether it proved itself in each cell through each door."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from cells import PLACES

RECORD = "repository_method"
_WORDS = {True: "ok", False: "FAILED", None: "-"}


@dataclass(eq=False)  # pytest keeps plugins in sets
class MethodTable:
    """A pytest plugin that gathers which methods proved themselves where, on whichever worker."""

    proved: dict[str, dict[str, bool]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == RECORD:
                    method, place = str(value).split("|")
                    places = self.proved.setdefault(method, {})
                    places[place] = places.get(place, True) and report.passed

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.proved:
            return
        terminalreporter.section("repository methods")
        for head in (lambda place: place.cell.partition("-")[0][:8], lambda place: place.cell.partition("-")[2]):
            terminalreporter.line(_line("", [head(place) for place in PLACES]))
        terminalreporter.line(_line("", [place.door for place in PLACES]))
        for method, places in sorted(self.proved.items()):
            terminalreporter.line(_line(method, [_WORDS[places.get(str(place))] for place in PLACES]))
        tried = [one for places in self.proved.values() for one in places.values()]
        terminalreporter.line(f"{sum(tried)} of {len(tried)} method x cell x door passed; - is tried by make soak")


def _line(first: str, rest: list[str]) -> str:
    return f"{first:23}" + "".join(f"{one:>10}" for one in rest)
