"""Revisions that no statements can stand for, run by Alembic itself: one home at a time in the whole process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from alembic.runtime.migration import RevisionStep
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from tenantry.errors import Diverged, HomeBusy, OutcomeUnknown
from tenantry.fleet import concurrently
from tenantry.fleet.applying import Tally, busy, failed, must_move, patiently, tell
from tenantry.fleet.applying_postgres import BUSY, locking, settings_of
from tenantry.fleet.applying_sqlite import told_of_file
from tenantry.fleet.environment import migration_context, operations, owner_engine
from tenantry.fleet.history import Applied, Pace
from tenantry.fleet.homes import lock_key
from tenantry.fleet.lineage import Lineage, current_of, revision_of
from tenantry.fleet.operations.homes import touched
from tenantry.fleet.owning import in_autocommit
from tenantry.fleet.sites import Site
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite_clock import INSTRUCTIONS_BETWEEN_LOOKS, Clock


def apply_through_alembic(site: Site, lineage: Lineage, target: str | None, *, pace: Pace) -> Applied:
    """Brings one home to *target* by Alembic's own means, in one transaction unless a revision leaves it.

    Raises: HomeBusy, MigrationFailed, Diverged, OutcomeUnknown.
    """
    run = _Run(site, lineage, target, pace)
    try:
        run.through()
    except Exception as error:  # whatever a revision raises is its home's failure
        raise run.told(error) from error
    return run.report()


class _Run:
    """One home's passage through Alembic."""

    def __init__(self, site: Site, lineage: Lineage, target: str | None, pace: Pace) -> None:
        self._site = site
        self._lineage = lineage
        self._target = target
        self._pace = pace
        self._tally = Tally()
        self._before: str | None = None
        self._commits = False
        self._clock = Clock(pace.statement_timeout) if pace.statement_timeout else None
        self._settings: list[str] = []
        self._locking: list[str] = []

    def through(self) -> None:
        """Runs what there is to run."""
        tell(self._site.home, "enter")
        with owner_engine(self._site).connect() as connection:
            self._prepare(connection)
            context = migration_context(self._site, connection=connection, fn=self._steps)
            with context.begin_transaction():
                with operations(context):
                    context.run_migrations()
                tell(self._site.home, "commit")
            for table, rows in touched(context).items():
                self._tally.count(table, rows)

    def report(self) -> Applied:
        """Returns what was done."""
        return self._tally.report(self._lineage, self._before, self._target)

    def told(self, error: Exception) -> Exception:
        """Returns what an error means for the home."""
        home = self._site.home
        if isinstance(error, Diverged | HomeBusy):
            return error
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, sqlite3.Error):
            return told_of_file(cause, home, self._before, self._tally, self._pace)
        if getattr(cause, "sqlstate", None) in BUSY:
            return busy(home, self._pace)
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            lost = busy(home, self._pace, "the connection to its server broke")
            return OutcomeUnknown(action=f"the migration of {home}") if self._commits else lost
        return failed(home, self._before, self._tally, cause or error)

    def _steps(self, heads: tuple[str, ...], _: object) -> Iterator[RevisionStep]:
        self._before = current_of(heads)
        if must_move(self._lineage, self._site.home, self._before, self._target):
            for step in self._lineage.plan(self._before, self._target):
                self._tally.revision = revision_of(step)
                yield step

    def _prepare(self, connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", self._before_statement)
        server = self._site.server
        if not isinstance(server, PostgresServer):
            driver: Any = connection.connection.driver_connection
            driver.execute(f"PRAGMA busy_timeout = {round(self._pace.lock_timeout * 1000)}").close()
            if self._clock is not None:
                driver.set_progress_handler(self._clock.is_over, INSTRUCTIONS_BETWEEN_LOOKS)
            return
        self._settings = settings_of(self._site.home, server, self._pace)
        self._locking = locking(self._site.home, server)
        event.listen(connection, "begin", self._begin)
        event.listen(connection, "commit", self._commit)
        driver = connection.connection.driver_connection
        # Held between transactions too, until the connection is closed.
        asked = f"SELECT pg_try_advisory_lock({lock_key(self._site.home)})"
        if not patiently(lambda: bool(_first(driver.execute(asked))), self._pace):
            raise busy(self._site.home, self._pace, "another migration of it did not end")
        driver.rollback()

    def _begin(self, connection: Connection) -> None:
        if in_autocommit(connection):
            # What runs outside a transaction waits for whoever reads, and nobody waits for it.
            messages = [*(f"SET {setting}" for setting in self._settings), "SET lock_timeout = 0"]
        else:
            messages = [*(f"SET LOCAL {setting}" for setting in self._settings), *self._locking]
        self._commits = False
        for message in messages:
            connection.exec_driver_sql(message)

    def _commit(self, _: Connection) -> None:
        self._commits = True

    def _before_statement(self, connection: Connection, _: Any, statement: str, *__: object) -> None:
        if self._pace.one_by_one:
            tell(self._site.home, "statement", statement=statement)
        if self._clock is not None:
            self._clock.start()
        if self._site.on_postgres:
            concurrently.clear(lambda text: _ask(connection, text), statement)


def _ask(connection: Connection, text: str) -> str | None:
    found: str | None = _first(connection.connection.driver_connection.execute(text))  # type: ignore[union-attr]  # psycopg's
    return found


def _first(cursor: Any) -> Any:
    row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
