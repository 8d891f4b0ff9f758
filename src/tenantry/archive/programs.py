"""PostgreSQL's own programs: found where they are new enough for the server, called without a password in sight."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tenantry.embedded.binaries import program_directories
from tenantry.errors import DumpFailed, ProgramMissing

_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_LONGEST: Final = 600


class Programs:
    """Calls pg_dump and pg_restore of one directory, or of the first place where they are new enough."""

    def __init__(self, directory: Path | None, *, server_version: int) -> None:
        self._given = directory
        self._wanted = server_version // 10000

    def call(self, program: str, *arguments: str, url: str) -> None:
        """Runs a program against a database.

        Raises: ProgramMissing, DumpFailed with what the program said.
        """
        path = self._find(program)
        with _addressed(url) as (address, environment):
            # No tenant's words are among the arguments, and no shell reads them.
            done = subprocess.run(
                [path, "--no-password", f"--dbname={address}", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        if done.returncode:
            raise DumpFailed(program=program, reason=" ".join(done.stderr.split())[-_LONGEST:] or "it said nothing.")

    def _find(self, program: str) -> Path:
        for found in self._candidates(program):
            if _major(found) >= self._wanted:
                return found
        raise ProgramMissing(program=program, wanted=self._wanted)

    def _candidates(self, program: str) -> Iterator[Path]:
        directories = [self._given] if self._given else program_directories()
        for directory in directories:
            if (path := directory / program).is_file():
                yield path
        on_path = shutil.which(program)
        if on_path and self._given is None:
            yield Path(on_path)


def _major(program: Path) -> int:
    said: Sequence[str] = ()
    with contextlib.suppress(OSError):
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # as above
        said = _VERSION.findall(asked.stdout)
    return int(said[0]) if said else 0


@contextlib.contextmanager
def _addressed(url: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields where the database is, without the password, and an environment that leads to it."""
    parts: dict[str, Any] = {**conninfo_to_dict(url)}
    password = parts.pop("password", None)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with tempfile.NamedTemporaryFile("w", prefix="tenantry-pass-", encoding="utf-8") as file:
        if password is not None:
            escaped = str(password).replace("\\", "\\\\").replace(":", "\\:")
            file.write(f"*:*:*:*:{escaped}\n")
            file.flush()
            environment["PGPASSFILE"] = file.name
        yield make_conninfo(**parts), environment
