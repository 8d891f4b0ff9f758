"""The table at the end of a run: for each cell and door the routes tried, the leaks, and what kept working."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from .worlds import CELLS, Place

RECORD = "leak"
DETAILED = 2


@dataclass(eq=False)  # pytest keeps plugins in sets
class LeakTable:
    """A pytest plugin that gathers what each trial recorded, on whichever worker it ran."""

    records: dict[tuple[str, str, str], dict[str, str]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, value in report.user_properties:
                if name == RECORD:
                    record = json.loads(str(value))
                    trial = report.nodeid.rpartition("/")[2].partition("[")[0]
                    self.records[trial, record["cell"], record["door"]] = {**record, "trial": trial}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        rows = list(self._rows())
        if not rows:
            return
        terminalreporter.section("leak suite")
        terminalreporter.line(
            _LINE.format("cell", "door", "routes", "leaks", "leak without a wall", "uses", "unbroken")
        )
        for row in rows:
            terminalreporter.line(_LINE.format(*row))
        if config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) >= DETAILED:
            self._print_refusals(terminalreporter)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for cell, doors in CELLS.items():
            for place in (Place(cell, door) for door in doors):
                routes, uses = self._of(place, "route"), self._of(place, "use")
                if routes or uses:
                    leaks = sum(record["result"] != "held" for record in routes)
                    unbroken = sum(record["result"] == "held" for record in uses)
                    yield (
                        cell,
                        place.door,
                        len(routes),
                        leaks,
                        self._without_a_wall(place, routes),
                        len(uses),
                        unbroken,
                    )

    def _of(self, place: Place, kind: str) -> list[dict[str, str]]:
        wanted = (place.cell, place.door, kind)
        return [r for r in self.records.values() if (r["cell"], r["door"], r["kind"]) == wanted]

    def _without_a_wall(self, place: Place, routes: list[dict[str, str]]) -> str:
        control = f"control-{place.dialect}"
        found = [
            self.records.get((route["trial"], control, place.door))
            or self.records.get((route["trial"], control, "sync"))
            for route in routes
        ]
        tried = [record["result"] == "leak" for record in found if record]
        return f"{sum(tried)} of {len(tried)} ({sum(tried) / len(tried):.0%})" if tried else "not tried"

    def _print_refusals(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("how each route ended")
        for (trial, cell, door), record in sorted(self.records.items()):
            if record["kind"] == "route":
                ended = record.get("leaks") or record.get("refusal") or "nothing foreign seen"
                terminalreporter.line(f"{trial} {cell} {door}: {ended}")


_LINE = "{:<20} {:<16} {:>6} {:>6} {:>20} {:>5} {:>8}"
