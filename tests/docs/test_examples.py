"""The examples of the docs: each page's, from top to bottom, in an empty directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .typed import FENCE

DOCS = Path(__file__).parents[2] / "docs"
# These pages are typed through by tests of their own.
TYPED = {"fleet.md", "quickstart.md", "tutorial.md"}
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if page.name not in TYPED and "```python\n" in page.read_text(encoding="utf-8")
]
SECONDS = 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).with_suffix("").as_posix())
def test_the_examples_run(page: Path, tmp_path: Path) -> None:
    blocks = [fence["text"] for fence in FENCE.finditer(page.read_text(encoding="utf-8")) if fence["says"] == "python"]
    assert blocks
    # A program of their own, as a reader would type them: models are declared in it, once.
    program = tmp_path / "example.py"
    program.write_text("\n".join(blocks), encoding="utf-8")
    alone = {name: value for name, value in os.environ.items() if not name.startswith("TENANTRY_")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", program.name],
        cwd=tmp_path,
        env=alone,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
