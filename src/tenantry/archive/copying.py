"""What COPY sends, taken in large pieces: psycopg's own way takes a turn of Python's for each row."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

try:
    from psycopg import generators
    from psycopg.errors import error_from_result
    from psycopg.pq import ExecStatus
    from psycopg.waiting import WAIT_R
except ImportError:  # then nobody has a connection to give
    pass


def copied(connection: Any, statement: str, *, size: int) -> Generator[bytes]:
    """Yields what a ``COPY … TO STDOUT`` sends, whole rows, in pieces of about *size* bytes.

    Raises: psycopg's errors.
    """
    pgconn = connection.pgconn
    pgconn.send_query(statement.encode())
    _check(connection.wait(generators.execute(pgconn)), ExecStatus.COPY_OUT)
    ended = False
    try:
        while not ended:
            piece, ended = connection.wait(_arrived(pgconn, size))
            if ended:
                # Before the last piece is given away: whoever takes it may ask for no more.
                _check(connection.wait(generators.fetch_many(pgconn)), ExecStatus.COMMAND_OK)
            if piece:
                yield piece
    finally:
        if not ended and not connection.closed:
            # Nobody reads on; the connection is to be of use to others all the same.
            pgconn.get_cancel().cancel()
            while not ended:
                _, ended = connection.wait(_arrived(pgconn, size))
            connection.wait(generators.fetch_many(pgconn))


def _arrived(pgconn: Any, size: int) -> Generator[int, int, tuple[bytes, bool]]:
    """Returns the rows that come next, and whether they are the last."""
    held = bytearray()
    while len(held) < size:
        length, row = pgconn.get_copy_data(1)
        if length > 0:
            held += row
        elif length < 0:
            return bytes(held), True
        else:
            while not (yield WAIT_R):
                pass
            pgconn.consume_input()
    return bytes(held), False


def _check(results: list[Any], wanted: ExecStatus) -> None:
    if results[-1].status != wanted:
        raise error_from_result(results[-1])
