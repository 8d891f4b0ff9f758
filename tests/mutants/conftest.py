"""A server whose administrator is a superuser, and the table of planted faults at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tenantry.embedded import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The superuser's URL: some faults are logins that only a superuser can make."""
    with PostgresServer() as development:
        yield development.url()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    lines = [line for report in reports for name, line in report.user_properties if name == "mutant"]
    if lines:
        terminalreporter.section("planted faults, and the tests that failed for each")
        for line in lines:
            terminalreporter.line(line)
