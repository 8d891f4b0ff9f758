"""Who runs PostgreSQL: it refuses root, so a server that root starts runs as another account."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# LC_ALL keeps the messages in English, where we look for one of them; PG* variables would redirect the programs.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ} | {"LC_ALL": "C"}
UNNAMED_NOBODY = 65534
SECONDS_TO_RUN = 120


@dataclass(frozen=True, slots=True)
class Account:
    """The user and the group that own the data and run the programs; no account is ever created."""

    user: int
    group: int

    @classmethod
    def of(cls, data: Path | None) -> Account:
        """Returns the account for *data*: our own; for root the one that owns it already, else ``nobody``."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        if data and data.exists() and data.stat().st_uid != 0:
            return cls(data.stat().st_uid, data.stat().st_gid)
        return cls.nobody()

    @classmethod
    def nobody(cls) -> Account:
        """Returns the account without rights that every Unix has."""
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            return cls(UNNAMED_NOBODY, UNNAMED_NOBODY)
        return cls(entry.pw_uid, entry.pw_gid)

    @property
    def identity(self) -> dict[str, Any]:
        """The arguments with which ``subprocess`` starts a program as this account."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}

    def run(self, *command: str | Path, pass_fds: Sequence[int] = ()) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end as this account, away from a working directory that it might not reach."""
        return subprocess.run(
            command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_TO_RUN,
            pass_fds=pass_fds,
            **self.identity,
        )

    def reaches(self, directory: Path) -> bool:
        """Whether this account can enter *directory*."""
        return self.run("test", "-x", directory).returncode == 0

    def make_directory(self, path: Path) -> Path:
        """Returns *path* as a new, empty directory, in place of what stood there, that only this account can enter."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700)
        self.give(path)
        return path

    def give(self, path: Path) -> None:
        """Makes this account the owner of *path*, which is ours."""
        if os.geteuid() == 0:
            os.chown(path, self.user, self.group)
