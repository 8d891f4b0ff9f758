"""The drill of somebody who wants to be forgotten, typed through as printed; and what the page says of the steps."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tenantry.archive import erasing_persons, erasing_places

from .typed import Command, steps, type_through

PAGE = Path(__file__).parents[2] / "docs" / "erasure.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.soak
def test_the_drill_does_what_it_says(tmp_path: Path) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "COLUMNS": "110", "NO_COLOR": "1"}
    typed = type_through(PAGE, tmp_path, environment)
    assert typed == sum(isinstance(step, Command) for step in steps(PAGE)) >= 12
    for path in (*tmp_path.glob("backups/**/*"), *tmp_path.glob("*.json")):
        assert not path.is_file() or b"anna" not in path.read_bytes()


def test_every_step_is_explained() -> None:
    sources = [Path(module.__file__).read_text(encoding="utf-8") for module in (erasing_persons, erasing_places)]
    taken = set(re.findall(r'(?:course\.step\(|note\(course, )"([a-z ]+)"', "".join(sources)))
    taken = {step for step in taken if step not in ("renewed", "catalog")} | {"rows"}
    assert taken == set(re.findall(r"`([a-z]+)`", "".join(re.findall(r"(?m)^\| (`[a-z`, ]+) \|", TEXT)))) - FIELDS


FIELDS = {"tenant", "scope", "subject", "stores", "notes", "version", "signature"}


def test_the_contents_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^## (.*)", TEXT)
    }
    assert set(re.findall(r"\(#([a-z-]+)\)", TEXT)) == headings
