"""The drill of a customer's own database, typed through as printed; and the page's words for what can be in the way."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry.embedded import PostgresServer
from tenantry.move import Step, planning

from .typed import Command, steps, type_through

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "moving.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """What is set for a reader who has just exported the URLs of a development server."""
    with PostgresServer(max_connections=60) as server:
        url = server.url("shop")
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        named = {"PATH": programs, "TENANTRY_URL": url, "TENANTRY_OWNER_URL": url}
        yield {**os.environ, "COLUMNS": "110", "NO_COLOR": "1", **named}


@pytest.mark.soak
def test_the_drill_does_what_it_says(tmp_path: Path, environment: dict[str, str]) -> None:
    typed = type_through(PAGE, tmp_path, environment)
    assert typed == sum(isinstance(step, Command) for step in steps(PAGE)) >= 10


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.UNDO])
def test_every_step_is_explained(step: Step) -> None:
    assert f"| `{step}` |" in TEXT


def test_every_refusal_is_explained() -> None:
    codes = set(re.findall(r'"(V\d{3})"', Path(planning.__file__).read_text(encoding="utf-8")))
    assert codes == set(re.findall(r"\| `(V\d{3})` \|", TEXT))


def test_the_contents_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^## (.*)", TEXT)
    }
    assert set(re.findall(r"\(#([a-z-]+)\)", TEXT)) == headings
