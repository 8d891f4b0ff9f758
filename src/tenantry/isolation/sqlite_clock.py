"""How long one statement may run on an SQLite connection; the time between fetches is the program's own."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterable
from typing import Any, Final, Protocol, Self

# Often enough for a limit of milliseconds, too rarely to be felt: SQLite does some 50 million instructions a second.
INSTRUCTIONS_BETWEEN_LOOKS: Final = 10_000


class Clock:
    """A limit for each call into SQLite, as PostgreSQL's statement_timeout is one for each message."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = math.inf

    def start(self) -> None:
        """Gives the call that begins now its time."""
        self._deadline = time.monotonic() + self._seconds

    def is_over(self) -> bool:
        """Whether SQLite shall stop what it is doing."""
        return time.monotonic() > self._deadline


class Clocked(Protocol):
    """A connection that has a clock."""

    clock: Clock


class ClockedCursor(sqlite3.Cursor):
    """A cursor that starts its connection's clock at every call which runs SQLite."""

    def execute(self, sql: str, parameters: Any = (), /) -> Self:
        self._start()
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Self:
        self._start()
        return super().executemany(sql, parameters)

    def fetchone(self) -> Any:
        self._start()
        return super().fetchone()

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        self._start()
        return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        self._start()
        return super().fetchall()

    def __next__(self) -> Any:
        self._start()
        return super().__next__()

    def _start(self) -> None:
        connection: Clocked = self.connection  # type: ignore[assignment]  # only such a connection makes this cursor
        connection.clock.start()
