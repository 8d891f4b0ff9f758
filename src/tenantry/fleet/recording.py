"""Revisions recorded on a scratch copy of an SQLite file's schema, since Alembic's batch mode reads the tables there.

What was recorded fits every file whose schema is the same to the letter, and no other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from alembic.runtime.migration import RevisionStep
from sqlalchemy import event

from tenantry.fleet.environment import VERSION_TABLE, migration_context, operations, owner_engine
from tenantry.fleet.lineage import heads_of, revision_of
from tenantry.fleet.operations.homes import touched
from tenantry.fleet.operations.statements import written
from tenantry.fleet.rendering import NotReplayable, Part, Rendering, Statement
from tenantry.fleet.sites import Site
from tenantry.isolation.sqlite_library import LibraryConnection

_TRANSACTION: Final = re.compile(r"\s*(?:begin|commit|rollback(?!\s+to)|end)\b", re.IGNORECASE)
_CHANGES_ROWS: Final = re.compile(r"\s*(?:with\b.*?\b)?(?:insert|update|delete|replace)\b", re.IGNORECASE | re.DOTALL)
_READS_SCHEMA: Final = re.compile(rf"\s*pragma\b|sqlite_master|sqlite_schema|pragma_|{VERSION_TABLE}", re.IGNORECASE)
_SETS: Final = re.compile(r"\s*pragma\s+[\w.]+\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Schema:
    """What stands in a file, as it was written."""

    statements: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The same for two files only if their schemas are."""
        return hashlib.sha256("\0".join(sorted(self.statements)).encode()).hexdigest()


def schema_of(connection: sqlite3.Connection) -> Schema:
    """Returns the schema of an open file, in an order in which it can be made."""
    question = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' ORDER BY rowid"
    return Schema(tuple(sql for (sql,) in connection.execute(question)))


def record(site: Site, real: Site, before: str | None, steps: Sequence[RevisionStep], schema: Schema) -> Rendering:
    """Returns the statements of *steps* for every file of the schema of *real*, as *site* has them run.

    Raises: NotReplayable, and whatever a revision raises.
    """
    tape, engine = _Tape(), owner_engine(real)
    event.listen(engine, "do_connect", lambda *_: _scratch(tape, schema, before))
    with engine.connect() as connection:
        context = migration_context(site, connection=connection, fn=lambda *_: tape.follow(steps))
        with context.begin_transaction():
            tape.begin(steps)
            with operations(context):
                context.run_migrations()
            tape.running = False
        return Rendering((Part(tuple(_counted(tape.statements, touched(context)))),))


def _counted(statements: Iterable[Statement], touched_tables: Collection[str]) -> Iterator[Statement]:
    """Marks the data steps, as Alembic's operations saw them."""
    for statement in statements:
        tables = [table.name for table in written(statement.text) if table.name in touched_tables]
        yield dataclasses.replace(statement, touches=tables[0]) if tables else statement


def _scratch(tape: _Tape, schema: Schema, before: str | None) -> sqlite3.Connection:
    connection = _RecordedConnection(":memory:", isolation_level=None, tape=tape)
    for statement in schema.statements:
        connection.execute(statement)
    for head in heads_of(before):
        connection.execute(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (?)", (head,))
    return connection


class _Tape:
    """What ran while it was running."""

    def __init__(self) -> None:
        self.running = False
        self.statements: list[Statement] = []
        self._revision = ""

    def begin(self, steps: Sequence[RevisionStep]) -> None:
        """Takes down what comes, the preparations included."""
        self.running, self._revision = True, revision_of(steps[0])

    def follow(self, steps: Sequence[RevisionStep]) -> Iterator[RevisionStep]:
        """Yields the steps to Alembic and notes which of them is running."""
        for step in steps:
            self._revision = revision_of(step)
            yield step

    def take(self, text: str, parameters: Any, *, many: bool, answered: bool) -> None:
        """Takes one statement down, unless it only asked about the schema.

        Raises: NotReplayable for one that asked about rows.
        """
        if not self.running or _TRANSACTION.match(text):
            return
        if answered and not _CHANGES_ROWS.match(text) and not _SETS.match(text):
            if not _READS_SCHEMA.search(text):
                raise NotReplayable(f"{self._revision} reads rows")
            return
        self.statements.append(Statement(text, self._revision, parameters, many=many))


class _RecordedCursor(sqlite3.Cursor):
    connection: _RecordedConnection

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        super().execute(sql, parameters)
        self.connection.tape.take(sql, parameters, many=False, answered=self.description is not None)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        rows = list(parameters)
        super().executemany(sql, rows)
        self.connection.tape.take(sql, rows, many=True, answered=False)
        return self

    def executescript(self, sql_script: str, /) -> Self:
        raise NotReplayable("a script ends the transaction it is in")


class _RecordedConnection(LibraryConnection):
    """A connection whose statements are taken down, by whatever door they come."""

    def __init__(self, *arguments: Any, tape: _Tape, **options: Any) -> None:
        self.tape = tape
        super().__init__(*arguments, **options)

    def cursor(self, factory: Callable[..., Any] | None = None) -> sqlite3.Cursor:  # type: ignore[override]  # as theirs
        return super().cursor(_RecordedCursor)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return self.cursor().executescript(sql_script)
