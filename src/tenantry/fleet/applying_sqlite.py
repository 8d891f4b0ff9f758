"""Revisions applied to an SQLite file, in place (DESIGN D11): one BEGIN IMMEDIATE, so that the file is old or new."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

from tenantry.errors import HomeBusy, MigrationFailed, OrphansFound
from tenantry.fleet.applying import FENCED, Tally, busy, failed, tell
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home
from tenantry.fleet.lineage import current_of, heads_of
from tenantry.fleet.recording import Schema, schema_of
from tenantry.fleet.rendering import Rendering, Statement
from tenantry.isolation.fencing_names import is_of_fence
from tenantry.isolation.sqlite_clock import INSTRUCTIONS_BETWEEN_LOOKS, Clock
from tenantry.isolation.sqlite_library import LibraryConnection
from tenantry.isolation.stamps import VERSION_TABLE

_CREATION: Final = (
    f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
    f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
)
_TRIGGERS: Final = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"


class Visit:
    """One run's work in one file; nothing is changed unless ``commit`` is reached."""

    def __init__(self, home: Home, path: Path, pace: Pace) -> None:
        self.tally = Tally()
        self._home = home
        self._pace = pace
        self._before: str | None = None
        self._clock = Clock(pace.statement_timeout) if pace.statement_timeout else None
        self._connection = self._open(path)

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def enter(self) -> str | None:
        """Takes the file's write lock and returns at which revision it stands.

        Raises: HomeBusy, MigrationFailed.
        """
        tell(self._home, "enter")
        self._execute("BEGIN IMMEDIATE")
        if any(is_of_fence(name) for (name,) in self._execute(_TRIGGERS)):
            raise busy(self._home, self._pace, FENCED)
        self._execute(_CREATION)
        rows = self._execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
        self._before = current_of([head for (head,) in rows])
        return self._before

    def schema(self) -> Schema:
        """Returns what stands in the file."""
        return schema_of(self._connection)

    def replay(self, rendering: Rendering) -> None:
        """Runs what was recorded on a file of the same schema, refuses orphans, and commits.

        Raises: HomeBusy, MigrationFailed.
        """
        if not self._pace.one_by_one:
            tell(self._home, "replay")
        for part in rendering.parts:
            for statement in part.statements:
                self._run(statement)
        self._check_keys()
        self._commit()

    def stamp(self, revision: str | None) -> None:
        """Records a revision and nothing else."""
        self._execute(f"DELETE FROM {VERSION_TABLE}")
        for head in heads_of(revision):
            self._execute(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (?)", (head,))
        self._commit()

    def _open(self, path: Path) -> sqlite3.Connection:
        # sqlite3 would make a missing file.
        address = f"{path.absolute().as_uri()}?mode=rw"
        try:
            connection = sqlite3.connect(
                address, uri=True, isolation_level=None, timeout=self._pace.lock_timeout, factory=LibraryConnection
            )
        except sqlite3.Error as error:
            raise self._told(error) from error
        # Only outside a transaction; a table that is made anew would take its children along.
        connection.execute("PRAGMA foreign_keys = OFF").close()
        if self._clock is not None:
            connection.set_progress_handler(self._clock.is_over, INSTRUCTIONS_BETWEEN_LOOKS)
        return connection

    def _run(self, statement: Statement) -> None:
        self.tally.revision = statement.revision
        if self._pace.one_by_one:
            tell(self._home, "statement", statement=statement.text)
        # Before Python 3.12 a cursor counts nothing where a statement begins with WITH.
        before = self._connection.total_changes
        self._execute(statement.text, statement.parameters, many=statement.many).close()
        self.tally.count(statement.touches, self._connection.total_changes - before)

    def _check_keys(self) -> None:
        question = 'SELECT count(*), "table", parent FROM pragma_foreign_key_check GROUP BY 2, 3'
        lost = self._execute(question).fetchall()
        if lost:
            found = ", ".join(f"{count} in {table} (to {parent})" for count, table, parent in lost)
            raise failed(self._home, self._before, self.tally, OrphansFound(home=str(self._home), found=found))

    def _commit(self) -> None:
        tell(self._home, "commit")
        self._execute("COMMIT")

    def _execute(self, text: str, parameters: Any = (), *, many: bool = False) -> sqlite3.Cursor:
        if self._clock is not None:
            self._clock.start()
        try:
            return (self._connection.executemany if many else self._connection.execute)(text, parameters)
        except sqlite3.Error as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> HomeBusy | MigrationFailed:
        return told_of_file(error, self._home, self._before, self.tally, self._pace)


def told_of_file(
    error: sqlite3.Error, home: Home, before: str | None, tally: Tally, pace: Pace
) -> HomeBusy | MigrationFailed:
    """Returns what an error of SQLite's means for a home."""
    # The lowest byte is the code that the extended ones are of (SQLite, "Result and Error Codes").
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return busy(home, pace)
    return failed(home, before, tally, error)
