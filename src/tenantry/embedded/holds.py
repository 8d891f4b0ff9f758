"""Directories that one server holds, and temporary ones that never outlive it for long.

A hold is a ``flock`` on the directory itself. The keeper and PostgreSQL inherit the descriptor, so the hold lasts
exactly as long as any of them lives, whoever was killed; a directory that nobody holds is free, or a leftover.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tenantry.embedded.keeper import remove

PREFIX = "tenantry-pg-"
TRAVERSABLE = 0o711  # the account that runs PostgreSQL passes through to its own directories, and lists nothing


@dataclass(frozen=True, slots=True)
class Hold:
    """A directory that nobody else uses or clears away; leaving the block by an error removes a temporary one."""

    path: Path
    descriptor: int
    temporary: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind and self.temporary:
            remove(self.path)
        os.close(self.descriptor)


def take(path: Path, *, temporary: bool = False, seconds: float = 0) -> Hold | None:
    """Returns a hold on *path*, or None if after *seconds* somebody else still has it, or it is gone."""
    deadline = time.monotonic() + seconds
    while True:
        descriptor = _lock(path)
        if descriptor is not None:
            return Hold(path, descriptor, temporary)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.05)


def make_temporary(base: Path) -> Hold:
    """Returns a hold on a new directory below *base*."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        # None: somebody who cleared leftovers met the directory before it was held, and removed it.
        if hold := take(path, temporary=True):
            os.fchmod(hold.descriptor, TRAVERSABLE)
            return hold


def clear_leftovers(bases: Iterable[Path]) -> None:
    """Removes our temporary directories of processes that died, keepers and all."""
    for path in [found for base in bases for found in base.glob(f"{PREFIX}*")]:
        if _is_ours(path) and (hold := take(path)):
            with hold:
                remove(path)


def _lock(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The last holder may have removed what we opened, and a lock on a removed directory holds nothing.
        if os.path.samestat(path.lstat(), os.fstat(descriptor)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _is_ours(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
