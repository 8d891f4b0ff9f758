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
from tenantry.isolation.searching_sqlite import to_make
from tenantry.isolation.sqlite_clock import INSTRUCTIONS_BETWEEN_LOOKS, Clock
from tenantry.isolation.sqlite_library import LibraryConnection

_TRANSACTION: Final = re.compile(r"\s*(?:begin|commit|rollback(?!\s+to)|end)\b", re.IGNORECASE)
_CHANGES_ROWS: Final = re.compile(r"\s*(?:with\b.*?\b)?(?:insert|update|delete|replace)\b", re.IGNORECASE | re.DOTALL)
_SETS: Final = re.compile(r"\s*pragma\s+[\w.]+\s*=", re.IGNORECASE)
# What may be read: the schema is the same in every file that is replayed on, and the revision is known.
_KNOWN: Final = re.compile(rf"sqlite_\w+|pragma_\w+|{VERSION_TABLE}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Schema:
    """What stands in a file, as it was written."""

    statements: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The same for two files only if their schemas are."""
        return hashlib.sha256("\0".join(sorted(self.statements)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Scratch:
    """An empty database in which to try what *real* has to do; each data step seems to touch *pretended* rows there.

    A statement that takes longer than *seconds* on no rows at all says nothing.
    """

    real: Site
    schema: Schema
    before: str | None
    pretended: int
    seconds: float


def schema_of(connection: sqlite3.Connection) -> Schema:
    """Returns the schema of an open file, in an order in which it can be made."""
    question = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' ORDER BY rowid"
    return Schema(tuple(sql for _, sql in to_make(connection.execute(question).fetchall())))


def record(site: Site, scratch: Scratch, steps: Sequence[RevisionStep]) -> Rendering:
    """Returns the statements of *steps* for every file of that schema, as *site* has them run.

    Raises: NotReplayable, and whatever a revision raises.
    """
    tape, engine = _Tape(scratch), owner_engine(scratch.real)
    event.listen(engine, "do_connect", lambda *_: _connect(tape, scratch))
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


def _connect(tape: _Tape, scratch: Scratch) -> sqlite3.Connection:
    connection = _RecordedConnection(":memory:", isolation_level=None, cached_statements=0, tape=tape)
    connection.set_progress_handler(tape.clock.is_over, INSTRUCTIONS_BETWEEN_LOOKS)
    for statement in scratch.schema.statements:
        connection.execute(statement)
    for head in heads_of(scratch.before):
        connection.execute(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (?)", (head,))
    return connection


class _Tape:
    """What ran while it was running."""

    def __init__(self, scratch: Scratch) -> None:
        self.pretended = scratch.pretended
        self.clock = Clock(scratch.seconds)
        self.running = False
        self.statements: list[Statement] = []
        # The tables that the statement at hand reads.
        self.read: set[str] = set()
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
        if answered and not all(_KNOWN.fullmatch(table) for table in self.read):
            raise NotReplayable(f"{self._revision} reads rows")
        if not answered or _CHANGES_ROWS.match(text) or _SETS.match(text):
            self.statements.append(Statement(text, self._revision, parameters, many=many))


class _RecordedCursor(sqlite3.Cursor):
    connection: _RecordedConnection

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        self.connection.tape.read.clear()
        self.connection.tape.clock.start()
        super().execute(sql, parameters)
        self.connection.tape.take(sql, parameters, many=False, answered=self.description is not None)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        rows = list(parameters)
        self.connection.tape.clock.start()
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
        self.set_authorizer(self._note)

    @property
    def total_changes(self) -> int:
        return super().total_changes + self.tape.pretended * len(self.tape.statements)

    def cursor(self, factory: Callable[..., Any] | None = None) -> sqlite3.Cursor:  # type: ignore[override]  # as theirs
        return super().cursor(_RecordedCursor)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return self.cursor().executescript(sql_script)

    def _note(self, action: int, first: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and first:
            self.tape.read.add(first)
        return sqlite3.SQLITE_OK
