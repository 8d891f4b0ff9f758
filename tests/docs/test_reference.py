"""The reference is what the code says: each error, setting, command, finding and public name has its heading there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def _headings(page: str) -> set[str]:
    return set(re.findall(r"(?m)^## (.+)$", (REFERENCE / page).read_text(encoding="utf-8")))


def test_the_pages_are_what_the_code_says() -> None:
    checked = [sys.executable, str(ROOT / "tools" / "reference.py"), "--check"]
    ran = subprocess.run(checked, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr


def test_what_people_look_up_has_a_heading() -> None:
    assert {"TenantNotFound", "UnsafeLogin"} <= _headings("errors.md")
    assert {"pool_size", "role_prefix"} <= _headings("settings.md")
    assert {"tenantry fleet upgrade", "tenantry doctor"} <= _headings("commands.md")


def test_every_page_is_in_the_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"(?m)(?:: |- )([\w./-]+\.md)$", contents)
    assert sorted(named) == sorted(page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))
