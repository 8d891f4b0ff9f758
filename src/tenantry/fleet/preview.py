"""What a migration would run in one home, as SQL for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tenantry.fleet.applying_postgres import settings_of
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home
from tenantry.fleet.rendering import Part, Rendering, Statement
from tenantry.isolation.postgres import PostgresServer

_UNKNOWN: Final = "-- What is done here depends on the home: Alembic runs these revisions itself.\n"


def of_postgres(home: Home, server: PostgresServer, rendering: Rendering | None) -> str:
    """Returns the script of a PostgreSQL home."""
    if rendering is None:
        return _UNKNOWN
    settings = [f"SET LOCAL {setting}" for setting in settings_of(home, server, Pace())]
    return _script(line for part in rendering.parts for line in _part(part, ["BEGIN", *settings]))


def of_file(rendering: Rendering | None) -> str:
    """Returns the script of an SQLite file."""
    if rendering is None:
        return _UNKNOWN
    begin = ["PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"]
    return _script(line for part in rendering.parts for line in _part(part, begin))


def _part(part: Part, begin: Iterable[str]) -> Iterator[str]:
    if part.alone:
        yield from _lines(part.statements)
    else:
        yield from (*begin, *_lines(part.statements), "COMMIT")


def _lines(statements: Iterable[Statement]) -> Iterator[str]:
    revision = ""
    for statement in statements:
        if statement.revision != revision:
            revision = statement.revision
            yield f"-- {revision}"
        yield f"{statement.text}{_shown(statement)}"


def _shown(statement: Statement) -> str:
    return f"  -- with {statement.parameters!r}" if statement.parameters else ""


def _script(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" if line.startswith("-- ") else f"{line};\n" for line in lines)
