"""What the README shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_first_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    shown = "\n    print(tenancy.tenants.get('acme').slug)\n"
    program = [sys.executable, "-c", example.rstrip() + shown]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "acme\n", "")


def test_every_make_target_it_names_exists():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"make (\w+)", README.read_text(encoding="utf-8"))
    assert named
    assert [target for target in named if f"\n{target}:" not in makefile] == []


def test_every_page_it_leads_to_exists_and_every_page_is_led_to():
    named = set(re.findall(r"\((docs/[a-z-]+\.md)\)", README.read_text(encoding="utf-8")))
    assert named == {f"docs/{page.name}" for page in (README.parent / "docs").glob("*.md")}
