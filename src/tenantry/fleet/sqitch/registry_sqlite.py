"""The registry of an SQLite file: a file of its own beside it, as ``sqitch --registry`` expects."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from tenantry.fleet.sqitch.project import Project
from tenantry.fleet.sqitch.registry import Registry, Unfinished
from tenantry.isolation.registries import NOTE_SUFFIX, registry_file

_ID_LENGTH: Final = 40

_COMMITTED: Final = """
    committed_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    committer_name TEXT NOT NULL,
    committer_email TEXT NOT NULL,
    planned_at DATETIME NOT NULL,
    planner_name TEXT NOT NULL,
    planner_email TEXT NOT NULL"""

_SCHEMA: Final = (
    """CREATE TABLE releases (
    version FLOAT PRIMARY KEY,
    installed_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    installer_name TEXT NOT NULL,
    installer_email TEXT NOT NULL
)""",
    """CREATE TABLE projects (
    project TEXT PRIMARY KEY,
    uri TEXT UNIQUE,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    creator_name TEXT NOT NULL,
    creator_email TEXT NOT NULL
)""",
    f"""CREATE TABLE changes (
    change_id TEXT PRIMARY KEY,
    script_hash TEXT,
    change TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects (project) ON UPDATE CASCADE,
    note TEXT NOT NULL DEFAULT '',{_COMMITTED},
    UNIQUE (project, script_hash)
)""",
    f"""CREATE TABLE tags (
    tag_id TEXT PRIMARY KEY,
    tag TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects (project) ON UPDATE CASCADE,
    change_id TEXT NOT NULL REFERENCES changes (change_id) ON UPDATE CASCADE,
    note TEXT NOT NULL DEFAULT '',{_COMMITTED},
    UNIQUE (project, tag)
)""",
    """CREATE TABLE dependencies (
    change_id TEXT NOT NULL REFERENCES changes (change_id) ON UPDATE CASCADE ON DELETE CASCADE,
    type TEXT NOT NULL,
    dependency TEXT NOT NULL,
    dependency_id TEXT REFERENCES changes (change_id) ON UPDATE CASCADE
        CONSTRAINT dependencies_check CHECK (
            type = 'require' AND dependency_id IS NOT NULL OR type = 'conflict' AND dependency_id IS NULL
        ),
    PRIMARY KEY (change_id, dependency)
)""",
    f"""CREATE TABLE events (
    event TEXT NOT NULL CONSTRAINT events_event_check CHECK (event IN ('deploy', 'revert', 'fail', 'merge')),
    change_id TEXT NOT NULL,
    change TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES projects (project) ON UPDATE CASCADE,
    note TEXT NOT NULL DEFAULT '',
    requires TEXT NOT NULL DEFAULT '',
    conflicts TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '',{_COMMITTED},
    PRIMARY KEY (change_id, committed_at)
)""",
)


class SqliteRegistry(Registry):
    """The registry beside an SQLite file, on a connection of its own that holds the write lock."""

    mark = "?"
    # Later than all before, however fast the changes follow each other: Sqitch tells their order by nothing else.
    moment = (
        "(SELECT max(strftime('%Y-%m-%d %H:%M:%f', 'now'), "
        "coalesce(strftime('%Y-%m-%d %H:%M:%f', max(committed_at), '+0.001 seconds'), '')) FROM events)"
    )

    def __init__(self, project: Project, file: Path, connection: sqlite3.Connection) -> None:
        super().__init__(project, prefix="")
        self._note = file.with_name(registry_file(file).name + NOTE_SUFFIX)
        self._connection = connection

    def exists(self) -> bool:
        return self._one("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", ["changes"]) is not None

    def create(self) -> None:
        for statement in _SCHEMA:
            self._run(statement)
        self._record_release()

    def unfinished(self) -> Unfinished | None:
        kind, _, change_id = (self._note.read_text() if self._note.exists() else "").partition(" ")
        # What was cut off while it was being written stood before anything was run.
        return Unfinished(kind, change_id) if len(change_id) == _ID_LENGTH else None

    def note_unfinished(self, note: Unfinished) -> None:
        # Not in the registry, whose transaction stays open all the while: it is the lock.
        with self._note.open("w") as file:
            file.write(f"{note.kind} {note.change_id}")
            file.flush()
            os.fsync(file.fileno())
        _sync(self._note.parent)

    def forget_unfinished(self) -> None:
        self._note.unlink(missing_ok=True)

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def _run(self, statement: str, values: Sequence[object] = ()) -> None:
        self._connection.execute(statement, values).close()

    def _time(self, planned_at: str) -> object:
        return planned_at.replace("T", " ").removesuffix("Z")

    def _many(self, names: Iterable[str], *, separator: str = ",") -> object:
        return separator.join(names)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
