"""What the linter says of names: too long, reserved, or taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Constraint, Index, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.schema import conv

from tenantry.models.naming import LONGEST_NAME
from tenantry.models.numbering import COUNTERS
from tenantry.models.ownership import ownership
from tenantry.types import Finding

# The wall of SQLite's common tables stores the table under this name, and a view takes the table's own.
STORED_SUFFIX: Final = "__rows"
RESERVED_PREFIX: Final = "tenantry_"


def judge(tables: Sequence[Table]) -> Iterator[Finding]:
    """Yields the names that a database would cut, refuse or confuse."""
    owned = [table for table in tables if ownership(table) is not None]
    for table in owned:
        yield from _judge_reserved(table)
        yield from _judge_length(table)
    for schema in sorted({table.schema or "" for table in owned}):
        yield from _judge_clashes([table for table in owned if (table.schema or "") == schema])


def _judge_reserved(table: Table) -> Iterator[Finding]:
    name = table.name.lower()
    if name.endswith(STORED_SUFFIX):
        message = f"Names that end in {STORED_SUFFIX} are kept for the stored half of a walled table."
        yield Finding("M016", table.fullname, message, "Choose another name.")
    if name.startswith(RESERVED_PREFIX) and name != COUNTERS:
        message = f"Names that begin with {RESERVED_PREFIX} are the library's."
        yield Finding("M016", table.fullname, message, "Choose another name.")


def _judge_length(table: Table) -> Iterator[Finding]:
    room = LONGEST_NAME - len(STORED_SUFFIX)
    if len(table.name.encode()) > room:
        yield _too_long(table.fullname, room)
    items: list[Constraint | Index] = [*table.constraints, *table.indexes]
    # Names out of a convention are shortened when they are compiled.
    given = [item.name for item in items if isinstance(item.name, str) and not isinstance(item.name, conv)]
    for name in sorted([*given, *(column.name for column in table.columns)]):
        if len(name.encode()) > LONGEST_NAME:
            yield _too_long(f"{table.fullname}.{name}", LONGEST_NAME)


def _too_long(name: str, room: int) -> Finding:
    return Finding("M014", name, f"The name is longer than {room} bytes.", "Choose a shorter one.")


def _judge_clashes(tables: Sequence[Table]) -> Iterator[Finding]:
    """In one schema tables, indexes and the indexes behind keys share their names, whatever the case on SQLite."""
    used = Counter(name.lower() for table in tables for name in _relation_names(table))
    for table in tables:
        for name in _relation_names(table):
            if used[name.lower()] > 1:
                message = "Another table, index or key of the same schema has this name."
                yield Finding("M015", f"{table.fullname}.{name}", message, "Give one of them another name.")


def _relation_names(table: Table) -> list[str]:
    keys = [item for item in table.constraints if isinstance(item, UniqueConstraint | PrimaryKeyConstraint)]
    names = [item.name for item in [*keys, *table.indexes] if isinstance(item.name, str)]
    return [table.name, *sorted(names)]
