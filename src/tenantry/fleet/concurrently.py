"""Statements that PostgreSQL runs outside transactions, made safe to run again after they were cut off half-way."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Final

from tenantry.errors import TenantryError

_NAME: Final = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_CREATES_INDEX: Final = re.compile(
    r"\s*create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?"
    rf"(?P<index>{_NAME})\s+on\s+(?:only\s+)?(?P<schema>{_NAME}\s*\.)?",
    re.IGNORECASE,
)
_DROPS_INDEX: Final = re.compile(
    rf"\s*drop\s+index\s+concurrently\s+(?P<index>(?:{_NAME}\s*\.\s*)?{_NAME})\s*(?:cascade|restrict)?\s*\Z",
    re.IGNORECASE,
)

# Sends one statement and returns the first value of its answer.
Ask = Callable[[str], str | None]


def run(ask: Ask, statement: str, *, resumed: bool) -> None:
    """Runs one statement; *resumed* says that it may have been cut off, or have ended unrecorded, before."""
    index, removed = _created(statement), _DROPS_INDEX.match(statement)
    if index is not None:
        _create(ask, statement, index, resumed=resumed)
    elif not (removed and resumed and _is_valid(ask, removed["index"]) is None):
        ask(statement)


def clear(ask: Ask, statement: str) -> None:
    """Drops what a cut-off run of *statement* left: an index that slows every write down and serves nobody."""
    index = _created(statement)
    if index is not None and _is_valid(ask, index) is False:
        ask(f"DROP INDEX CONCURRENTLY {index}")


def _created(statement: str) -> str | None:
    found = _CREATES_INDEX.match(statement)
    return (found["schema"] or "") + found["index"] if found else None


def _create(ask: Ask, statement: str, index: str, *, resumed: bool) -> None:
    clear(ask, statement)
    if resumed and _is_valid(ask, index):
        return
    try:
        ask(statement)
    except TenantryError:
        with contextlib.suppress(TenantryError):
            clear(ask, statement)
        raise


def _is_valid(ask: Ask, index: str) -> bool | None:
    """Returns whether an index can be used, or None where there is none of the name."""
    name = index.replace("'", "''")
    found = ask(f"SELECT indisvalid::text FROM pg_index WHERE indexrelid = to_regclass('{name}')")
    return None if found is None else found == "true"
