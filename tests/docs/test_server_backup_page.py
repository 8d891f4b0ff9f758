"""The runbook of a lost server, typed through as printed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry.embedded import PostgresServer

from .typed import Command, steps, type_through

PAGE = Path(__file__).parents[2] / "docs" / "server-backup.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """What is set for a reader who has just exported the URLs of a development server."""
    with PostgresServer(max_connections=60) as server:
        url = server.url("shop")
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        named = {"PATH": programs, "TENANTRY_URL": url, "TENANTRY_OWNER_URL": url}
        yield {**os.environ, "COLUMNS": "130", "NO_COLOR": "1", **named}


@pytest.mark.ledger("S1-073")
@pytest.mark.soak
def test_the_drill_does_what_it_says(tmp_path: Path, environment: dict[str, str]) -> None:
    typed = type_through(PAGE, tmp_path, environment)
    assert typed == sum(isinstance(step, Command) for step in steps(PAGE)) >= 10


def test_the_contents_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^## (.*)", TEXT)
    }
    assert set(re.findall(r"\(#([a-z-]+)\)", TEXT)) == headings
