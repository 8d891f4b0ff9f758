"""Nothing public comes or goes unnoticed, and what is written down is there."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
WRITTEN = ROOT / "tests" / "public_names.txt"


def _names() -> list[str]:
    return WRITTEN.read_text(encoding="utf-8").splitlines()[1:]


def test_the_names_are_those_that_are_written_down():
    spec = importlib.util.spec_from_file_location("public_names", ROOT / "tools" / "public_names.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    now, written = set(tool.snapshot().splitlines()[1:]), set(_names())
    said = "Is it meant? Then: python tools/public_names.py, and a line in CHANGELOG.md."
    assert (sorted(now - written), sorted(written - now)) == ([], []), said


def test_the_core_is_there_without_an_extra():
    """`import tenantry` imports no framework, and the names that users lean on most do not move."""
    program = "import sys, tenantry; print({'fastapi', 'sqlalchemy', 'typer', 'alembic'} & set(sys.modules) or 'none')"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "none"
    stay = ["Tenancy", "Isolation", "Tenant", "TenantSession", "AsyncTenantSession", "errors"]
    assert set(stay) <= {name.removeprefix("tenantry.") for name in _names()}
    assert all(hasattr(importlib.import_module("tenantry"), name) for name in stay)
