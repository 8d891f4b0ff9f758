"""An SQLite file on its way through a plan: the file on one connection, its registry and lock on another."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from tenantry.fleet.history import Pace
from tenantry.fleet.sites import Site
from tenantry.fleet.sqitch.clients import Client, Progress, Refused, busy
from tenantry.fleet.sqitch.project import Project
from tenantry.fleet.sqitch.registry_sqlite import SqliteRegistry
from tenantry.fleet.sqitch.statements import Script, Statement
from tenantry.isolation.registries import registry_file
from tenantry.isolation.sqlite_stored import quote
from tenantry.models import TENANT_COLUMN, owned_tables
from tenantry.models.ownership import is_walled
from tenantry.types import Finding

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_ABOUT_THE_MACHINE = (*_BUSY, "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_NOMEM", "SQLITE_CANTOPEN", "SQLITE_READONLY")
_CHANGING = frozenset({"insert", "update", "delete", "replace", "with"})


@contextlib.contextmanager
def open_sqlite(site: Site, file: Path, project: Project, pace: Pace) -> Iterator[SqliteClient]:
    """Opens a file and its registry, which is made where it is missing.

    Raises: FileNotFoundError.
    """
    if not file.exists():
        raise FileNotFoundError(f"the file of this home is missing: {file}")
    with _connect(file, pace) as connection, _connect(registry_file(file), pace) as registry:
        # As `sqitch` has it; in the tenant's own file its client leaves them off, and so scripts expect it.
        registry.execute("PRAGMA foreign_keys = ON").close()
        yield SqliteClient(site, file, project, connection, registry, pace)


def _connect(file: Path, pace: Pace) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(file, timeout=pace.lock_timeout, isolation_level=None))


class SqliteClient(Client):
    """One SQLite file.

    The write lock of the registry is the home's lock, as it is for ``sqitch``; it is held for one change at a time.
    """

    failures = (sqlite3.Error,)

    def __init__(
        self,
        site: Site,
        file: Path,
        project: Project,
        connection: sqlite3.Connection,
        registry: sqlite3.Connection,
        pace: Pace,
    ) -> None:
        super().__init__(SqliteRegistry(project, file, registry))
        self._home = site.home
        self._pace = pace
        self._connection = connection
        self._lock = registry
        self._registry_name = registry_file(file).name
        tables = owned_tables(site.tenancy.metadata, *site.holds)
        self._walled = frozenset(table.name for table in tables if is_walled(table))

    @property
    def registry_name(self) -> str:
        return self._registry_name

    def joins(self, script: Script) -> bool:
        # Two files are never committed as one (SQLite, "Write-Ahead Logging", 1.3).
        return False

    def run(self, script: Script, progress: Progress, finish: Callable[[], None] | None = None) -> int:
        touched = 0
        self._connection.execute("PRAGMA foreign_keys = OFF").close()
        for number, statement in enumerate(script.statements, 1):
            if finish and number == len(script.statements):
                progress.statement = None
                self._check_keys()
                finish()
            progress.statement = statement
            touched += self._execute(statement, immediate=script.whole)
            progress.done = number
        progress.statement = None
        return touched

    def look(self) -> None:
        """Looks at nothing: there are no rights in a file that a script could give."""

    def raise_walls(self) -> list[Finding]:
        # The file itself is the wall; what its fence asks of a table is the column that says whose the row is.
        return [
            Finding("D404", table, f"It has no column {TENANT_COLUMN}.", "Give it the columns that the models say.")
            for table in sorted(self._walled)
            if (columns := self._columns(table)) and TENANT_COLUMN not in columns
        ]

    def has_all_tables(self) -> bool:
        return bool(self._walled) and all(self._columns(table) for table in self._walled)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def shut(self) -> None:
        """Shuts nothing: no other tenant's session comes near this file."""

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        if not self._lock.in_transaction:
            self._lock.execute("BEGIN IMMEDIATE").close()
        yield
        self._lock.execute("COMMIT").close()
        self.registry.forget_unfinished()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        try:
            self._lock.execute("BEGIN IMMEDIATE").close()
        except sqlite3.OperationalError as error:
            if not self.is_busy(error):
                raise
            raise busy(self._home, self._pace, "another migration did not leave it") from error
        try:
            yield
        finally:
            if self._lock.in_transaction:
                self._lock.execute("ROLLBACK").close()

    def abandon(self) -> None:
        if self.in_transaction:
            self._connection.execute("ROLLBACK").close()

    def is_busy(self, error: Exception) -> bool:
        return _name(error).startswith(_BUSY)

    def says_nothing(self, error: Exception) -> bool:
        return _name(error).startswith(_ABOUT_THE_MACHINE)

    def _execute(self, statement: Statement, *, immediate: bool) -> int:
        # A deferred transaction that reads before it writes fails where an immediate one waits (DESIGN D9).
        begins = immediate and statement.opens and "exclusive" not in statement.words
        text = "BEGIN IMMEDIATE" if begins else statement.text
        with contextlib.closing(self._connection.execute(text)) as cursor:
            cursor.fetchall()
            changes = statement.words[:1] and statement.words[0] in _CHANGING
            return max(cursor.rowcount, 0) if changes and self._walled.intersection(statement.words) else 0

    def _check_keys(self) -> None:
        orphans = self._connection.execute("PRAGMA foreign_key_check").fetchall()
        if orphans:
            tables = ", ".join(sorted({str(table) for table, *_ in orphans}))
            raise Refused(f"{len(orphans)} row(s) refer to rows that are not there: {tables}.")

    def _columns(self, table: str) -> frozenset[str]:
        rows = self._connection.execute(f"PRAGMA table_info({quote(table)})").fetchall()
        return frozenset(row[1] for row in rows)


def _name(error: Exception) -> str:
    return str(getattr(error, "sqlite_errorname", ""))
