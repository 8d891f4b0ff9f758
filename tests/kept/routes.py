"""The leak suite's routes, aimed at the tenant's own rows: what each leaves of the rows that stood before it."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from leak import suite, walled
from leak.suite import Trial
from leak.worlds import Place, World
from psycopg import sql

from tenantry.models import APPEND_ONLY, linting_kept
from tenantry.models.append_only import APPEND_ONLY_TRIGGER
from tenantry.session import core

LEAK = Path(suite.__file__).parent
Rows = dict[str, Counter[str]]


def routes(place: Place) -> list[Trial]:
    """Returns the routes of the leak suite that fit a place."""
    modules = [importlib.import_module(f"leak.{file.stem}") for file in sorted(LEAK.glob("test_*.py"))]
    found = [value.trial for module in modules for value in vars(module).values() if hasattr(value, "trial")]
    return [trial for trial in found if trial.kind == "route" and trial.fits(place)]


@contextmanager
def world(place: Place, server: Any, directory: Path, *, append_only: bool) -> Iterator[World]:
    """Lends a world of the leak suite whose routes hit the attacker's own rows.

    The session's own checks and the linter are out of the way: what is tried is the database.
    """
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr(core, "check_appending", lambda _: None)
        patch.setattr(core, "refuse_append_only", lambda *_: None)
        patch.setattr(linting_kept, "judge", lambda _: iter(()))
        if append_only:
            patch.setattr(walled.declared, "declare", _marking(walled.declared.declare))
        ground = (
            walled.PostgresGround(place.cell, server, runner)
            if place.dialect == "postgresql"
            else walled.SQLiteGround(place.cell, directory, runner)
        )
        ground.b = ground.a
        try:
            yield World(place, ground, runner)
        finally:
            ground.close()


def _marking(declare: Callable[..., Any]) -> Callable[..., Any]:
    def declared(*args: Any, **options: Any) -> Any:
        models = declare(*args, **options)
        for name in ROWS_OF:
            models.Base.metadata.tables[name].info[APPEND_ONLY] = True
        return models

    return declared


ROWS_OF = ("agents", "bug_tickets", "comments", "companies", "invoices", "tags", "ticket_tags", "tickets")


def rows(found: World) -> Rows:
    """Returns every row of the tenants' tables, past every wall."""
    outside = found.ground.outside
    if isinstance(outside, walled.SQLiteOutside):
        tables = {
            f"{file.name}.{name}": (name.removesuffix("__rows"), of)
            for (file, name), (_, of) in outside._tables().items()
        }
        return {title: Counter(map(repr, of)) for title, (name, of) in tables.items() if name in ROWS_OF}
    return {
        f"{number}.{name}": Counter(
            text for (text,) in connection.execute(sql.SQL("SELECT t::text FROM {} t").format(table))
        )
        for number, connection in enumerate(outside.connections)
        for table, name, _ in outside.tables[number]
        if name.rpartition(".")[2] in ROWS_OF
    }


def lost(before: Rows, after: Rows) -> list[str]:
    """Returns the tables in which a row of *before* is not as it was."""
    return [title for title, stood in before.items() if stood - after.get(title, Counter())]


def attempt(trial: Trial, found: World) -> None:
    """Runs a route, however it ends."""
    try:
        suite.run(trial, found)
    except Exception:  # whatever stops it, the rows are looked at
        found.ground.discard()


def repair(found: World) -> None:
    """Brings back the rows of a world that keeps none."""
    found.ground.discard()
    outside = found.ground.outside
    if isinstance(outside, walled.SQLiteOutside):
        for file in outside.files:
            with closing(sqlite3.connect(file)) as connection:
                question = f"SELECT count(*) FROM sqlite_master WHERE name LIKE '{APPEND_ONLY_TRIGGER}%'"
                assert connection.execute(question).fetchone() == (0,)
    outside.repair()
