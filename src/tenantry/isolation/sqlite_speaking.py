"""Cursors of a tenant's own file: while one runs a statement that names what a search keeps, its authorizer knows.

FTS5 writes its tables by statements of its own, which an authorizer cannot tell from a user's by anything else: SQLite
prepares them while a statement runs that names none of those tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, Self

from tenantry.isolation.searching_sqlite import is_inside, speaks_of_search
from tenantry.isolation.sqlite_clock import ClockedCursor

Authorizer = Callable[[int, str | None, str | None, str | None, str | None], int]

_WRITES: Final = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})


class Hearing:
    """What one connection has heard of the statement that it runs."""

    __slots__ = ("names_search",)

    def __init__(self) -> None:
        self.names_search = False

    def letting_fts5_write(self, authorizer: Authorizer) -> Authorizer:
        """Returns *authorizer*, but for what FTS5 writes for an index by itself."""

        def authorize(
            action: int, first: str | None, second: str | None, database: str | None, on_behalf: str | None
        ) -> int:
            if action in _WRITES and not self.names_search and is_inside(first):
                return sqlite3.SQLITE_OK
            return authorizer(action, first, second, database, on_behalf)

        return authorize


class Listening(Protocol):
    """A connection that hears what its cursors say."""

    hearing: Hearing


class SpeakingCursor(sqlite3.Cursor):
    """A cursor whose connection hears what it runs."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        """Runs a statement."""
        hearing = self._heard(sql)
        try:
            return super().execute(sql, parameters)
        finally:
            hearing.names_search = False

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        """Runs a statement once for each of *parameters*."""
        hearing = self._heard(sql)
        try:
            return super().executemany(sql, parameters)
        finally:
            hearing.names_search = False

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """Runs a script."""
        hearing = self._heard(sql_script)
        try:
            return super().executescript(sql_script)
        finally:
            hearing.names_search = False

    def _heard(self, sql: str) -> Hearing:
        connection: Listening = self.connection  # type: ignore[assignment]  # only such a connection makes this cursor
        connection.hearing.names_search = speaks_of_search(sql)
        return connection.hearing


class ClockedSpeakingCursor(SpeakingCursor, ClockedCursor):
    """One whose statements have a limit of time."""
