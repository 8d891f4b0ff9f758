"""How many statements a piece of code sends: for tests that keep N+1 away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, SessionTransaction

from tenantry.errors import TooManyStatements
from tenantry.observe.wording import shown

_SENT: Final = "before_cursor_execute"


@dataclass(slots=True)
class Counted:
    """The statements that were sent so far, in order and without values."""

    statements: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.statements)

    def __str__(self) -> str:
        return " ".join(f"({number}) {statement}" for number, statement in enumerate(self.statements, 1))


@contextmanager
def count_statements(session: Any, *, at_most: int | None = None) -> Iterator[Counted]:
    """Counts what one session sends in the block, of either door; BEGIN and COMMIT are not counted.

    Raises: TooManyStatements on leaving a block that sent more than *at_most*.
    """
    counted = Counted()
    with _counting(getattr(session, "sync_session", session), counted):
        yield counted
    if at_most is not None and len(counted) > at_most:
        raise TooManyStatements(count=len(counted), limit=at_most, statements=counted)


@contextmanager
def _counting(session: Session, counted: Counted) -> Iterator[None]:
    watched: list[Connection] = []

    def sent(_: Connection, __: Any, statement: str, *___: Any) -> None:
        counted.statements.append(shown(statement))

    def begun(_: Session, __: SessionTransaction, connection: Connection) -> None:
        if connection not in watched:
            watched.append(connection)
            event.listen(connection, _SENT, sent)

    for connection, transaction in _connections_of(session):
        begun(session, transaction, connection)
    event.listen(session, "after_begin", begun)
    try:
        yield
    finally:
        event.remove(session, "after_begin", begun)
        for each in watched:
            event.remove(each, _SENT, sent)


def _connections_of(session: Session) -> list[tuple[Connection, SessionTransaction]]:
    transaction = session.get_transaction()
    if transaction is None:
        return []
    # Asking the session for its connection would begin what has not begun, and SQLAlchemy has no other way.
    return [(each, transaction) for each in transaction._connections if isinstance(each, Connection)]
