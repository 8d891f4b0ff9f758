"""Nothing public comes or goes unnoticed, and what is written down is there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WRITTEN = ROOT / "tests" / "public_names.txt"


def _names() -> list[str]:
    return WRITTEN.read_text(encoding="utf-8").splitlines()[1:]


def _told(program: str) -> str:
    """What a fresh process prints: other tests leave marks on the classes of this one."""
    told = [sys.executable, "-c", program]
    return subprocess.run(told, cwd=ROOT / "tools", capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_names_are_those_that_are_written_down():
    now = set(_told("import public_names; print(public_names.snapshot())").splitlines()[1:]) - {""}
    said = "Is it meant? Then: python tools/public_names.py, and a line in CHANGELOG.md."
    assert (sorted(now - set(_names())), sorted(set(_names()) - now)) == ([], []), said


def test_the_core_is_there_without_an_extra():
    """`import tenantry` imports no framework, and the names that users lean on most do not move."""
    program = "import sys, tenantry; print({'fastapi', 'sqlalchemy', 'typer', 'alembic'} & set(sys.modules) or 'none')"
    assert _told(program).strip() == "none"
    stay = ["Tenancy", "Isolation", "Tenant", "TenantSession", "AsyncTenantSession", "errors"]
    assert set(stay) <= {name.removeprefix("tenantry.") for name in _names()}
    assert all(hasattr(importlib.import_module("tenantry"), name) for name in stay)
