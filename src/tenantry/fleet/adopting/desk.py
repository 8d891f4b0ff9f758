"""The owner's connection to a PostgreSQL database that is being adopted: short locks, tried again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tenantry.errors import HomeBusy
from tenantry.fleet.history import Pace
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.wall import quote

try:
    from psycopg import errors
except ImportError:  # said in one sentence where the owner's work begins
    errors = None  # type: ignore[assignment]

ACTION: Final = "Adopting a database"
_PAUSE: Final = 0.1

# Where two wait for each other, the one that PostgreSQL stops is to be this one, and not the application.
_WAITING: Final = """
select set_config('lock_timeout', least(%s, setting::int / 2)::text, false)
from pg_settings where name = 'deadlock_timeout'
"""
# Building an index waits for transactions to end, and stands in nobody's way meanwhile.
_PATIENTLY: Final = "SET lock_timeout = '60s'"

# What runs before and after a statement, in the same transaction.
Around = tuple[Sequence[str], Sequence[str]]
NOTHING: Final[Around] = ((), ())


class Desk:
    """One connection of the owner, its names found in the common schema; it is no pool's."""

    def __init__(self, connection: Any, *, name: str, pace: Pace) -> None:
        self._connection = connection
        self._name = name
        self._pace = pace

    def rows(self, question: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        """Returns the answer to a question; without values a ``%`` in it is one."""
        found: list[tuple[Any, ...]] = self._connection.execute(question, values or None).fetchall()
        return found

    def run(self, statements: Iterable[str]) -> None:
        """Runs statements in one transaction, again where a lock was not to be had in time.

        Raises: HomeBusy.
        """
        asked = list(statements)
        self._patiently(lambda: self._in_one(asked))

    def alone(self, *statements: str) -> None:
        """Runs statements that take no transaction around them, from the first again where one had to wait too long.

        Raises: HomeBusy.
        """

        def one_by_one() -> None:
            for statement in statements:
                self._connection.execute(statement)

        before = self.rows("SHOW lock_timeout")[0][0]
        self._connection.execute(_PATIENTLY)
        self._patiently(one_by_one)
        self._connection.execute(f"SET lock_timeout = '{before}'")

    def seeing(self, around: Around, question: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        """Returns the answer to a question that needs what is *around* it, in one transaction.

        Raises: HomeBusy.
        """
        found: Sequence[tuple[Any, ...]] = self._patiently(lambda: self._around(around, question, values).fetchall())
        return found

    def change(self, statement: str, *values: Any, around: Around = NOTHING) -> int:
        """Runs one statement with what is *around* it and returns how many rows it touched.

        Raises: HomeBusy.
        """
        touched: int = self._patiently(lambda: self._around(around, statement, values).rowcount)
        return touched

    @contextlib.contextmanager
    def undone(self, before: Iterable[str] = ()) -> Iterator[None]:
        """Opens one transaction that begins with *before* and leaves nothing behind."""
        with self._connection.transaction(force_rollback=True):
            for statement in before:
                self._connection.execute(statement)
            yield

    def _around(self, around: Around, statement: str, values: Sequence[Any]) -> Any:
        before, after = around
        with self._connection.transaction():
            for preparation in before:
                self._connection.execute(preparation)
            answer = self._connection.execute(statement, values or None)
            for ending in after:
                self._connection.execute(ending)
        return answer

    def _in_one(self, statements: Sequence[str]) -> None:
        with self._connection.transaction():
            for statement in statements:
                self._connection.execute(statement)

    def _patiently(self, work: Any) -> Any:
        for attempt in range(self._pace.attempts):
            try:
                return work()
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                time.sleep(_PAUSE * 2**attempt)
        reason = f"its tables were locked {self._pace.attempts} times"
        raise HomeBusy(home=self._name, reason=reason, seconds=self._pace.lock_timeout)


@contextlib.contextmanager
def sit_down(server: PostgresServer, database: str, *, name: str, pace: Pace) -> Iterator[Desk]:
    """Opens a desk in one database.

    Raises: LoginRequired, ExtraMissing.
    """
    with server.owner(action=ACTION, database=database) as connection:
        connection.execute(f"SET search_path = {quote(server.config.common_schema)}, pg_temp")
        connection.execute(_WAITING, (round(pace.lock_timeout * 1000),))
        # A policy that hides rows from us is an error: nothing may be taken for complete that is not.
        connection.execute("SET row_security = off")
        if pace.statement_timeout is not None:
            connection.execute(f"SET statement_timeout = {round(pace.statement_timeout * 1000)}")
        yield Desk(connection, name=name, pace=pace)
