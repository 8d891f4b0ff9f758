"""The program `sqitch` itself, as the judge of what ours does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

PROGRAM = shutil.which("sqitch")
PERL = shutil.which("perl")


class Refused(Exception):
    """The program ended with an error; it says what it printed."""


needs_sqitch = [
    pytest.mark.sqitch,
    pytest.mark.skipif(PROGRAM is None, reason="needs the program sqitch"),
]


def sqitch(folder: Path, *arguments: str, target: str | None = None, registry: str = "sqitch") -> str:
    """Runs the program in a project and returns what it said.

    Raises: Refused.
    """
    command = [str(PROGRAM), *arguments]
    if target:
        command += ["--target", target, "--registry", registry]
    result = subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=120, check=False
    )
    said = result.stdout + result.stderr
    if result.returncode:
        raise Refused(said)
    return said


def postgres_target(url: str, *, schema: str | None = None) -> str:
    """Returns a URL as `sqitch` wants it; plain names then mean what stands in *schema*."""
    parts = urlsplit(url)
    options = f"?options={quote(f'-csearch_path={schema}', safe='')}" if schema else ""
    return f"db:pg://{parts.netloc}{parts.path}{options}"


def sqlite_target(file: Path) -> str:
    """Returns the address of a file as `sqitch` wants it."""
    return f"db:sqlite:{file}"


def perl(folder: Path, program: str) -> str:
    """Runs a Perl program with sqitch's own modules in a project and returns what it printed."""
    result = subprocess.run(
        [str(PERL), "-e", program],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return result.stdout.decode()


def _environment(folder: Path) -> dict[str, str]:
    # No settings but the project's own, a fixed clock zone, and a name that is nobody's here.
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "SQITCH_FULLNAME": "Pat Deployer",
        "SQITCH_EMAIL": "pat@example.org",
        "SQITCH_SYSTEM_CONFIG": "/nonexistent",
        "SQITCH_USER_CONFIG": "/nonexistent",
    }
