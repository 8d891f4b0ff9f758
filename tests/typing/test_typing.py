"""The types hold for users: mypy and pyright, both strict, agree with every assertion and reject every mistake."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Half a minute, which `make check` has and `make test` has not.
pytestmark = pytest.mark.soak
CASES = sorted(path for path in HERE.glob("*.py") if path != Path(__file__))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    # Where no node came with pyright, the machine's own serves; it is never fetched.
    node = {"PYRIGHT_PYTHON_GLOBAL_NODE": "on"} if shutil.which("node") else {}
    settings = {**os.environ, **node, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=300, check=False)


def mypy(directory: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    files = [str(directory / path.name) for path in CASES]
    return run(sys.executable, "-m", "mypy", "--cache-dir", str(cache), *files)


def pyright(directory: Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(directory))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The same files, but each expects a mistake less, and one asserts what is not so."""
    for path in [*CASES, HERE / "pyrightconfig.json"]:
        text = path.read_text().replace("../../src", str(ROOT / "src"))
        text = text.replace("assert_type(tickets.count(), int)", "assert_type(tickets.count(), str)")
        text = re.sub(r"(tickets\.list\(limit=\"10\"\)).*", r"\1", text)
        (tmp_path / path.name).write_text(text)
    return tmp_path


def test_mypy_agrees(cache: Path) -> None:
    found = mypy(HERE, cache)
    assert found.returncode == 0, found.stdout + found.stderr


def test_pyright_agrees() -> None:
    found = pyright(HERE)
    assert found.returncode == 0, found.stdout + found.stderr


def test_mypy_notices_what_is_wrong(cache: Path, broken: Path) -> None:
    found = mypy(broken, cache)
    assert found.returncode == 1
    assert found.stdout.count("[assert-type]") == 1
    assert found.stdout.count("[arg-type]") == 2


def test_pyright_notices_what_is_wrong(broken: Path) -> None:
    found = pyright(broken)
    assert found.returncode == 1
    assert found.stdout.count("(reportAssertTypeFailure)") == 1
    assert found.stdout.count("(reportArgumentType)") == 2
