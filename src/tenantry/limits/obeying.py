"""Sessions that ask at the beginning of every transaction whether they may, and end there if they may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction


def ask_at_begin(session: Session, ask: Callable[[Connection], Any]) -> None:
    """Has *ask* called with the connection when a transaction of *session* begins; what it refuses runs no statement.

    The error that *ask* raises is raised again by every later statement of that transaction, if somebody goes on.
    """

    def begun(_: Session, transaction: SessionTransaction, connection: Connection) -> None:
        if transaction.nested:
            return
        try:
            ask(connection)
        except BaseException as error:
            # Whatever went wrong, nobody said yes.
            _refuse(connection, error)
            raise

    event.listen(session, "after_begin", begun)


def _refuse(connection: Connection, error: BaseException) -> None:
    def refuse(*_: Any) -> None:
        raise error

    event.listen(connection, "before_cursor_execute", refuse)
