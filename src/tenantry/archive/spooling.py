"""A place of this process's own for a file that is on its way, which whoever comes after a crash finds and removes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tenantry.catalog.operations import Course, Operation

# In an operation's detail.
SPOOL: Final = "spool"


@contextlib.contextmanager
def spooled(course: Course, step: str, *, below: Path | None) -> Iterator[Path]:
    """Notes *step*, and yields an empty directory for this user alone, gone when the block is left.

    It is made *below* a directory, by default the system's for temporary files.
    """
    directory = (below or Path(tempfile.gettempdir())).absolute() / _name(course.id)
    course.step(step, **{SPOOL: str(directory)})
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def sweep_spool(operation: Operation) -> None:
    """Removes what a crashed operation left here; on another machine there is nothing of that name."""
    noted = operation.detail.get(SPOOL)
    if noted is not None and Path(noted).name == _name(operation.id):
        shutil.rmtree(noted, ignore_errors=True)


def _name(operation: uuid.UUID) -> str:
    return f"tenantry-archive-{operation.hex}"
