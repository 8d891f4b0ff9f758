"""Where homes stand, by their registries: a question per database, however many tenants' schemas it holds."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.owning import file_of
from tenantry.fleet.sqitch.project import Project
from tenantry.fleet.sqitch.registry_postgres import REGISTRIES_QUESTION, latest_question, registry_of
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.registries import registry_file
from tenantry.isolation.sqlite import SqliteServer

# A statement locks every table it reads, and the server's lock table has an end.
_BATCH: Final = 200
_ACTION: Final = "Reading the fleet"
_DATABASES: Final = "SELECT datname FROM pg_catalog.pg_database WHERE datname = ANY(%s)"


def read_postgres(server: PostgresServer, project: Project, homes: Sequence[Home]) -> Mapping[Home, str | None]:
    """Returns the newest deployed change of each home; one that is not there stands at none.

    Raises: LoginRequired.
    """
    own = {home.physical: home for home in homes if home.kind is HomeKind.DATABASE}
    common = [home for home in homes if home.kind is not HomeKind.DATABASE]
    found: dict[Home, str | None] = dict.fromkeys(homes)
    if not homes:
        return found
    with server.owner(action=_ACTION) as connection:
        found |= _latest(connection, project, common)
        databases = [name for (name,) in connection.execute(_DATABASES, (list(own),))] if own else []
    for name in databases:
        with server.owner(action=_ACTION, database=name) as connection:
            found |= _latest(connection, project, [own[name]])
    return found


def read_sqlite(server: SqliteServer, project: Project, homes: Sequence[Home]) -> Mapping[Home, str | None]:
    """Returns the newest deployed change of each home; one that is not there stands at none."""
    return {home: _latest_in_file(registry_file(file_of(home, server)), project) for home in homes}


def _latest(connection: Any, project: Project, homes: Sequence[Home]) -> Iterator[tuple[Home, str | None]]:
    named = {registry_of(project, home): home for home in homes}
    present = [schema for (schema,) in connection.execute(REGISTRIES_QUESTION, (list(named),))]
    for schemas in _batches(present):
        question, values = latest_question(project.plan.project, schemas)
        for number, change_id in connection.execute(question, values, prepare=False):
            yield named[schemas[number]], change_id


def _batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))


def _latest_in_file(file: Any, project: Project) -> str | None:
    if not file.exists():
        return None
    question = "SELECT change_id FROM changes WHERE project = ? ORDER BY committed_at DESC LIMIT 1"
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30.0)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'changes'").fetchone():
            return None
        row = connection.execute(question, (project.plan.project,)).fetchone()
    return row[0] if row else None
