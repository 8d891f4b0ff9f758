"""Where a Sqitch project records what stands in a tenant's own home: beside it, and gone when the home goes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PREFIX: Final = "sqitch_"
UNFINISHED: Final = "tenantry_unfinished"
NOTE_SUFFIX: Final = "-unfinished"
# The schema that Sqitch chooses for a whole database, and what stands in it.
DATABASE_REGISTRY: Final = "sqitch"
TABLES: Final = ("releases", "projects", "changes", "tags", "dependencies", "events", UNFINISHED)

_LONGEST_NAME: Final = 63


def registry_schema(physical: str) -> str:
    """Returns the schema beside a tenant's own one; PostgreSQL would cut a longer name, and two would be one."""
    name = f"{PREFIX}{physical}"
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    return PREFIX + hashlib.sha256(physical.encode()).hexdigest()[:32]


def registry_file(file: Path) -> Path:
    """Returns the file beside a tenant's own one; its name is what ``sqitch --registry`` takes."""
    return file.with_name(PREFIX + file.name)


def registry_files(file: Path) -> Iterator[Path]:
    """Yields all that may lie beside a tenant's own file because of its registry."""
    registry = registry_file(file)
    for suffix in ("", "-journal", NOTE_SUFFIX):
        yield registry.with_name(registry.name + suffix)
