"""The runbook of the fleet, typed through as printed in an empty directory, and complete."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from tenantry.cli import commands
from tenantry.cli.fleeting import app
from tenantry.embedded import PostgresServer
from tenantry.fleet import Position, RunState, WorkState

from .typed import Command, commands_of, missing, steps, type_through

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fleet.md"
TEXT = PAGE.read_text(encoding="utf-8")
# Nobody sees a run that is only planned.
STATES = [state for state in (*WorkState, *RunState, *Position) if state is not RunState.PLANNED]
VERBS = set(typer.main.get_command(app).commands)


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """What is set for a reader who has just exported the URLs of a development server."""
    with PostgresServer(max_connections=60) as server:
        url = server.url("shop")
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        named = {"PATH": programs, "TENANTRY_URL": url, "TENANTRY_OWNER_URL": url}
        yield {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", **named}


@pytest.mark.soak
def test_the_page_does_what_it_says(tmp_path: Path, environment: dict[str, str]) -> None:
    typed = type_through(PAGE, tmp_path, environment)
    assert typed == sum(isinstance(step, Command) for step in steps(PAGE))


@pytest.mark.parametrize(
    ("printed", "said", "first_missing"),
    [
        ("one\ntwo", "one and\n  two", None),
        ("one … three", "one\ntwo\nthree", None),
        ("two\none", "one\ntwo", "one"),
        ("four", "one two three", "four"),
    ],
)
def test_what_is_not_printed_is_noticed(printed: str, said: str, first_missing: str | None) -> None:
    (command,) = commands_of(f"$ true\n{printed}\n")
    assert missing(command, said) == first_missing


@pytest.mark.ledger("S1-074")
def test_every_verb_is_on_the_page_and_no_other() -> None:
    named = set(re.findall(r"tenantry fleet (?:--sqitch \w+ )?([a-z]+)", TEXT))
    assert VERBS - named == set()
    assert named - VERBS == set()
    assert set(re.findall(r"(?:`|\$ )tenantry ([a-z]+)", TEXT)) <= set(commands.COMMANDS)


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_explained(state: str) -> None:
    assert f"`{state}`" in TEXT


def test_the_contents_lead_somewhere_and_the_readme_here() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^## (.*)", TEXT)
    }
    assert set(re.findall(r"\(#([a-z-]+)\)", TEXT)) == headings
    assert "(docs/fleet.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
