"""The drill of yesterday's data, typed through as printed; and the page against the commands that there are."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tenantry.cli.archiving import app
from tenantry.embedded import PostgresServer

from .typed import Command, steps, type_through

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "backup.md"
TEXT = PAGE.read_text(encoding="utf-8")
# What other pages tell.
ELSEWHERE = {"export", "server"}


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """What is set for a reader who has just exported the URLs of a development server."""
    with PostgresServer(max_connections=60) as server:
        url = server.url("shop")
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        named = {"PATH": programs, "TENANTRY_URL": url, "TENANTRY_OWNER_URL": url}
        yield {**os.environ, "COLUMNS": "130", "NO_COLOR": "1", **named}


@pytest.mark.soak
def test_the_drill_does_what_it_says(tmp_path: Path, environment: dict[str, str]) -> None:
    typed = type_through(PAGE, tmp_path, environment)
    assert typed == sum(isinstance(step, Command) for step in steps(PAGE)) >= 20


def test_every_command_is_on_the_page_and_no_other() -> None:
    commands = set(typer.main.get_command(app).commands)
    named = set(re.findall(r"tenantry archive ([a-z]+)", TEXT)) | {"import"}
    assert commands - ELSEWHERE == named


def test_the_contents_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^## (.*)", TEXT)
    }
    assert set(re.findall(r"\(#([a-z-]+)\)", TEXT)) == headings
