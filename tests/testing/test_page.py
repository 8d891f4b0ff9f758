"""The page on tests, typed through as printed: its files written, its command run."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tenantry.testing import plugin

from ..docs.typed import Command, steps, type_through

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
INSTALLED = any(each.name == "tenantry" for each in importlib.metadata.entry_points(group="pytest11"))


@pytest.mark.soak
def test_the_page_does_what_it_says(tmp_path: Path, postgres: Any) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    loaded = {} if INSTALLED else {"PYTEST_PLUGINS": "tenantry.testing.plugin"}
    environment = {**os.environ, **loaded, "PATH": programs, "TENANTRY_TEST_URL": postgres.url()}
    assert type_through(PAGE, tmp_path, environment) == sum(isinstance(step, Command) for step in steps(PAGE))


def test_every_fixture_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    fixtures = [name for name in vars(plugin) if name.startswith("tenantry_")]
    assert len(fixtures) == 13
    assert [name for name in fixtures if f"| `{name}` |" not in text] == []
