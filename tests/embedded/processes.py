"""What runs in a directory, and programs that are started to be killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def processes_in(directory: Path) -> list[int]:
    """Returns the processes that work inside *directory*, as all of PostgreSQL's do, even if it is gone."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd").startswith(f"{directory}/"):
                found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], bool], *, seconds: float = 30) -> bool:
    """Returns whether *condition* came true before it was too late to matter."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def program(source: str, *arguments: object, **options: object) -> Iterator[subprocess.Popen[str]]:
    """Lends a Python program that runs *source*; it never outlives the block."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()
