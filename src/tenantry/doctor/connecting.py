"""Connections of the doctor's own: one read-only transaction each, and one question to a pooler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy.engine import URL

from tenantry.errors import ExtraMissing

try:
    import psycopg
    from psycopg.rows import namedtuple_row
except ImportError:  # said in one sentence when a PostgreSQL server is to be examined
    psycopg = None  # type: ignore[assignment]

if TYPE_CHECKING:
    Connection: TypeAlias = psycopg.Connection[Any]

_PATIENCE_SECONDS: Final = 10
# Names are then written with their schema, and nothing of the database's own is found by accident.
_BEGIN: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''; SET LOCAL statement_timeout = '60s'"
)


class NoAnswer(Exception):
    """A server did not let a login in, or stopped answering; the text is its own first line."""


@contextlib.contextmanager
def reading(url: URL) -> Iterator[Connection]:
    """Opens one transaction that cannot change anything.

    Raises: NoAnswer, ExtraMissing.
    """
    if psycopg is None:
        raise ExtraMissing(module="Examining a PostgreSQL server", extra="postgres")
    try:
        with _connect(url) as connection:
            connection.execute(_BEGIN)
            yield connection
    except psycopg.Error as error:
        raise NoAnswer(str(error).splitlines()[0]) from error


def pooler_version(url: URL) -> str | None:
    """Returns what a PgBouncer at this address says of itself; None if none does.

    It answers its administrators and statistics users alone.
    """
    try:
        with _connect(url.set(database="pgbouncer")) as connection:
            answer = connection.execute("SHOW VERSION").fetchone()
    except psycopg.Error:
        return None
    return str(answer[0]) if answer else None


def _connect(url: URL) -> Connection:
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(conninfo, autocommit=True, connect_timeout=_PATIENCE_SECONDS, row_factory=namedtuple_row)
