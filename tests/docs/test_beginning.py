"""The pages for beginners, typed through as printed: with this Python, and in an environment that has nothing yet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .typed import Command, File, Shell, plain, steps, type_through, write

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "docs" / "quickstart.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
SECONDS = 300


def surroundings(**named: str) -> dict[str, str]:
    """What a reader's terminal has set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENANTRY_")}
    return {**kept, "COLUMNS": "110", "NO_COLOR": "1", **named}


def beside(python: str) -> str:
    """Returns a PATH on which the programs beside this Python come first."""
    return f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"


def commands(page: Path) -> int:
    return sum(isinstance(step, Command) for step in steps(page))


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory that others may enter: started by root, PostgreSQL runs as somebody else."""
    with tempfile.TemporaryDirectory(prefix="tenantry-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_the_quickstart_does_what_it_says(directory: Path) -> None:
    typed = type_through(QUICKSTART, directory, surroundings(PATH=beside(sys.executable)))
    assert typed == commands(QUICKSTART) >= 4


@pytest.mark.soak
def test_the_product_of_the_tutorial_passes_its_own_tests(directory: Path) -> None:
    for step in steps(TUTORIAL):
        if isinstance(step, File):
            write(directory, step)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=directory,
        env=surroundings(PATH=beside(sys.executable)),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


@pytest.mark.soak
def test_the_tutorial_does_what_it_says(directory: Path) -> None:
    typed = type_through(TUTORIAL, directory, surroundings(PATH=beside(sys.executable)))
    assert typed == commands(TUTORIAL) >= 15


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This version as `pip install tenantry` would bring it."""
    directory = tmp_path_factory.mktemp("wheel")
    made = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(directory), str(ROOT)]
    subprocess.run(made, check=True, timeout=SECONDS)
    (found,) = directory.glob("*.whl")
    return found


@pytest.mark.soak
@pytest.mark.parametrize("page", [QUICKSTART, TUTORIAL], ids=["quickstart", "tutorial"])
def test_nothing_but_python_is_needed(page: Path, wheel: Path, directory: Path) -> None:
    environment = surroundings(PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHON=sys.executable)
    environment.pop("VIRTUAL_ENV", None)
    environment.pop("PYTHONPATH", None)
    (install,) = re.findall(r"(?m)^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL)
    shell = Shell(directory, environment)
    try:
        for line in install.splitlines():
            # The index may not have this version yet: the wheel is given by its place.
            shell.type(re.sub(r'"tenantry(\[.*?\])"', rf'"tenantry\1 @ {wheel.as_uri()}"', line))
        where = plain(shell.type("python -c 'import sys, tenantry; print(sys.prefix, tenantry.__file__)'"))
    finally:
        shell.close()
    prefix, package = where.split()
    assert prefix == str(directory / ".venv")
    assert package.startswith(prefix)
    typed = type_through(page, directory, {**environment, "PATH": beside(f"{prefix}/bin/python")})
    assert typed == commands(page)
