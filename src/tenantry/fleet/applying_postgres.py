"""Revisions applied to a home in PostgreSQL: one message locks and looks, the next does it all and commits.

A statement that refuses to be in a transaction splits its revision. How far the home is within it is then written into
the comment on its version table, in the transaction that gets there, so that whoever resumes begins behind it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenantry.errors import ConfigurationError, MigrationFailed, OutcomeUnknown, TenantryError
from tenantry.fleet import concurrently
from tenantry.fleet.applying import FENCED, Tally, busy, failed, patiently, tell
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import Home, HomeKind, lock_key
from tenantry.fleet.lineage import heads_of
from tenantry.fleet.owners import Owners
from tenantry.fleet.owning import search_path
from tenantry.fleet.rendering import Part, Rendering, Statement
from tenantry.isolation.fencing_statements import fenced_question
from tenantry.isolation.marks import NOTING, noting_statements
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import closed_roles, quote

try:
    import psycopg
    from psycopg import generators
    from psycopg.errors import error_from_result
    from psycopg.pq import ExecStatus
except ImportError:  # said in one sentence where a connection is asked for (``owners``)
    psycopg = None  # type: ignore[assignment]

_DIVISION_BY_ZERO: Final = "22012"
_MIGRATED: Final = "another migration of it did not end"
_STEP: Final = "tenantry_step"
_NOTHING: Final = Statement("", "")
_NOTE: Final = "tenantry: "
# What another's lock ends in: lock_not_available, deadlock_detected.
BUSY: Final = ("55P03", "40P01")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a home was found: its revision, what a split revision noted, whether its database notes revisions, and
    whether the rows of a tenant there are being carried elsewhere."""

    revision: str | None
    note: str | None
    notes: bool
    fenced: bool = False


def settings_of(home: Home, server: PostgresServer, pace: Pace) -> list[str]:
    """Returns the settings of every transaction of the owner's in a home."""
    context = home.tenant or "catalog"
    return [
        f"lock_timeout = {max(1, round(pace.lock_timeout * 1000))}",
        f"statement_timeout = {round((pace.statement_timeout or 0) * 1000)}",
        f"{server.config.context_setting} = '{context}'",
        search_path(home, server),
        # A DBA sees what burns.
        f"application_name = 'tenantry:fleet:{home.tenant or home.kind}'",
    ]


def locking(home: Home, server: PostgresServer) -> list[str]:
    """Returns what keeps every other migration out of a home until the transaction ends."""
    table = version_table(home, server)
    return [
        # An error where another has it: who waited for it in a statement would be waited for by CREATE INDEX
        # CONCURRENTLY, whose run may be the one that has it.
        f"SELECT 1 / pg_try_advisory_xact_lock({lock_key(home)})::int",
        # By its full name: without the schema the next one on the search path would get it.
        f"CREATE TABLE IF NOT EXISTS {table} (version_num VARCHAR(32) NOT NULL, "
        f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))",
        # The plain `alembic` command takes no lock of ours, but it has to write here.
        f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE",
    ]


def version_table(home: Home, server: PostgresServer) -> str:
    """Returns the full name of a home's version table."""
    return f"{schema_of(home, server)}.{VERSION_TABLE}"


def schema_of(home: Home, server: PostgresServer) -> str:
    """Returns the schema in which a home's tables stand."""
    return quote(home.physical if home.kind is HomeKind.SCHEMA else server.config.common_schema)


@contextlib.contextmanager
def visiting(owners: Owners, home: Home, server: PostgresServer, pace: Pace) -> Iterator[Visit]:
    """Lends what works on one home.

    Raises: MigrationFailed where its database cannot be reached, LoginRequired, ExtraMissing.
    """
    with contextlib.ExitStack() as stack:
        database = home.physical if home.kind is HomeKind.DATABASE else None
        try:
            connection = stack.enter_context(owners.lend(server, database=database))
        except psycopg.OperationalError as error:
            # Of an attempt to connect there is no code, only libpq's text.
            reason = ConfigurationError(what=str(error).splitlines()[-1], fix="")
            raise failed(home, None, Tally(), reason) from error
        yield Visit(connection, home, server, pace)


class Visit:
    """One run's work in one home, on a connection of the owner."""

    def __init__(self, connection: Any, home: Home, server: PostgresServer, pace: Pace) -> None:
        self.tally = Tally()
        self._connection = connection
        self._home = home
        self._server = server
        self._pace = pace
        self._standing = Standing(None, None, False)

    def enter(self) -> Standing:
        """Begins a transaction in the home, takes its lock, and returns where it stands now.

        Raises: HomeBusy, MigrationFailed.
        """
        tell(self._home, "enter")
        if not patiently(self._try_to_enter, self._pace):
            raise busy(self._home, self._pace, FENCED if self._standing.fenced else _MIGRATED)
        return self._standing

    def _try_to_enter(self) -> bool:
        table = version_table(self._home, self._server)
        message = [
            "BEGIN",
            *(f"SET LOCAL {setting}" for setting in settings_of(self._home, self._server, self._pace)),
            *locking(self._home, self._server),
            f"SELECT (SELECT string_agg(version_num, ',' ORDER BY version_num) FROM {table}), "
            f"obj_description('{table}'::regclass, 'pg_class'), "
            f"EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND tgname = '{NOTING}') "
            # Only who owns a database may comment on it; one that was adopted may be somebody else's.
            "OR NOT pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE'), "
            + fenced_question(schema_of(self._home, self._server)),
        ]
        try:
            answer = self._send(message)[-1]
        except MigrationFailed as error:
            if error.fields["sqlstate"] != _DIVISION_BY_ZERO:
                raise
            self._standing = Standing(None, None, False)
            self.leave()
            return False
        revision, note, notes, fenced = (answer.get_value(0, column) for column in range(4))
        said = _text(note) or ""
        noted = said.removeprefix(_NOTE) if said.startswith(_NOTE) else None
        self._standing = Standing(_text(revision), noted, notes == b"t", fenced == b"t")
        if self._standing.fenced:
            self.leave()
        return not self._standing.fenced

    def leave(self) -> None:
        """Gives the lock back and leaves the home as it was found."""
        self._send(["ROLLBACK"])

    def replay(self, rendering: Rendering) -> None:
        """Runs all there is to run in a home that was entered, each part whole or not at all.

        Raises: HomeBusy, MigrationFailed, OutcomeUnknown.
        """
        if len(rendering.parts) == 1 and not rendering.parts[0].alone:
            self._run(rendering.parts[0], None)
            return
        # Taken before the transaction gives its own back: nobody comes between.
        with self._locked():
            self.leave()
            self._replay_parts(rendering)

    def settle(self) -> None:
        """Leaves the home with a version table as it should be, and gives the lock back."""
        self._run(Part(()), self._standing.note)

    def stamp(self, revision: str | None) -> None:
        """Records a revision in a home that was entered, and nothing else."""
        table = version_table(self._home, self._server)
        heads = [head.replace("'", "''") for head in heads_of(revision)]
        inserts = [f"INSERT INTO {table} (version_num) VALUES ('{head}')" for head in heads]
        statements = [f"DELETE FROM {table}", *inserts]
        self._run(Part(tuple(Statement(text, "stamp") for text in statements)), None)

    def _replay_parts(self, rendering: Rendering) -> None:
        begun = rendering.resume(self._standing.note)
        for number in range(begun or 0, len(rendering.parts)):
            part = rendering.parts[number]
            if part.alone:
                if number == 0:
                    self._note(rendering.progress(number))
                self._run_alone(part.statements[0], resumed=number == begun)
                self._note(rendering.progress(number + 1))
            else:
                self.enter()
                self._run(part, rendering.progress(number + 1) if number + 1 < len(rendering.parts) else None)

    def _note(self, progress: str | None) -> None:
        self.enter()
        self._run(Part(()), progress)

    def _run(self, part: Part, note: str | None) -> None:
        """Sends a part, what goes with it, and COMMIT."""
        first, last = self._before(), [*self._noting(note), "COMMIT"]
        if self._pace.one_by_one:
            self._send(first)
            self._send_each(part.statements)
            tell(self._home, "commit")
            self._send(last, commits=True)
            return
        tell(self._home, "replay")
        self._send([*first, *_with_steps(part.statements), *last], part.statements, commits=True)

    def _before(self) -> list[str]:
        standing, schema = self._standing, schema_of(self._home, self._server)
        closing = []
        if standing.revision is None:
            table, others = version_table(self._home, self._server), closed_roles(self._server.config)
            closing = [f"REVOKE ALL ON {table} FROM {others}"]
        if self._home.kind is HomeKind.DATABASE and not standing.notes:
            return [*closing, *noting_statements(schema)]
        return closing

    def _noting(self, note: str | None) -> list[str]:
        if note == self._standing.note:
            return []
        comment = "NULL" if note is None else f"'{_NOTE}{note}'"
        return [f"COMMENT ON TABLE {version_table(self._home, self._server)} IS {comment}"]

    def _send_each(self, statements: Sequence[Statement]) -> None:
        for number, statement in enumerate(statements):
            tell(self._home, "statement", statement=statement.text)
            self._send([f"SELECT {number} AS {_STEP}", statement.text], statements)

    def _run_alone(self, statement: Statement, *, resumed: bool) -> None:
        """Runs a statement outside any transaction; the settings are of this connection and go with it."""
        self.tally.revision = statement.revision
        tell(self._home, "statement", statement=statement.text)
        settings = settings_of(self._home, self._server, self._pace)
        self._send([f"SET {setting}" for setting in settings])
        try:
            # It waits for whoever reads, and nobody waits for it.
            self._send(["SET lock_timeout = 0"])
            concurrently.run(self._ask, statement.text, resumed=resumed)
        finally:
            self._tidy("RESET ALL")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the home's lock on the connection, between transactions too."""
        key = lock_key(self._home)
        if not patiently(lambda: self._ask(f"SELECT pg_try_advisory_lock({key})") == "t", self._pace):
            raise busy(self._home, self._pace, _MIGRATED)
        try:
            yield
        finally:
            self._tidy("ROLLBACK", f"SELECT pg_advisory_unlock({key})")

    def _tidy(self, *message: str) -> None:
        """Takes back what is the connection's; with a connection that broke it went by itself."""
        with contextlib.suppress(TenantryError):
            self._send(message)

    def _ask(self, text: str) -> str | None:
        answer = self._send([text])[-1]
        return _text(answer.get_value(0, 0)) if answer.ntuples else None

    def _send(
        self, message: Sequence[str], statements: Sequence[Statement] = (), *, commits: bool = False
    ) -> list[Any]:
        """Sends statements as one message and returns their results; none of them has parameters."""
        pgconn, running = self._connection.pgconn, _NOTHING
        try:
            pgconn.send_query(";\n".join(message).encode())
            results: list[Any] = self._connection.wait(generators.execute(pgconn))
            for result in results:
                running = self._take(result, running, statements)
        except psycopg.Error as error:
            raise self._told(error, commits=commits) from error
        return results

    def _take(self, result: Any, running: Statement, statements: Sequence[Statement]) -> Statement:
        """Counts what one result tells and returns the statement that the next ones belong to."""
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
        if result.nfields == 1 and result.fname(0) == _STEP.encode():
            running = statements[int(result.get_value(0, 0))]
            self.tally.revision = running.revision
        else:
            self.tally.count(running.touches, result.command_tuples or 0)
        return running

    def _told(self, error: psycopg.Error, *, commits: bool) -> TenantryError:
        if error.sqlstate in BUSY:
            return busy(self._home, self._pace)
        if error.sqlstate is not None:
            return failed(self._home, self._standing.revision, self.tally, error)
        if commits:
            return OutcomeUnknown(action=f"the migration of {self._home}")
        return busy(self._home, self._pace, "the connection to its server broke")


def _with_steps(statements: Sequence[Statement]) -> Iterator[str]:
    """Yields statements and, among them, questions whose answers tell which results belong to which."""
    before = _NOTHING
    for number, statement in enumerate(statements):
        if statement.revision != before.revision or statement.touches or before.touches:
            yield f"SELECT {number} AS {_STEP}"
        yield statement.text
        before = statement


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
