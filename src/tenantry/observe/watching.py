"""Where the numbers come from: each statement on its way to the driver, each transaction at its beginning and end."""

from __future__ import annotations

import time
from typing import Any, Final, Protocol

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session, SessionTransaction

from tenantry.observe.transactions import Transaction
from tenantry.session.core import TenantSession

NOTE: Final = "tenantry_observed"


class Watcher(Protocol):
    """What is told: an Observer."""

    def began(self, session: Session, connection: Connection) -> Transaction:
        """Takes note of a transaction that begins."""
        ...

    def ended(self, transaction: Transaction) -> None:
        """Takes note of its end."""
        ...

    def sent(self, connection: Connection, statement: str, seconds: float, error: str) -> None:
        """Takes note of a statement that was sent."""
        ...


def watch_statements(engine: Engine, watcher: Watcher) -> None:
    """Has *watcher* told of every statement of an engine, with the time that the driver and the database took."""
    sent, clock = watcher.sent, time.perf_counter

    def one(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        begun = clock()
        try:
            context.dialect.do_execute(cursor, statement, parameters, context)
        except BaseException as error:
            sent(context.root_connection, statement, clock() - begun, type(error).__name__)
            raise
        sent(context.root_connection, statement, clock() - begun, "")
        # What follows is done: SQLAlchemy sends it no second time.
        return True

    def many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        begun = clock()
        try:
            context.dialect.do_executemany(cursor, statement, parameters, context)
        except BaseException as error:
            sent(context.root_connection, statement, clock() - begun, type(error).__name__)
            raise
        sent(context.root_connection, statement, clock() - begun, "")
        return True

    def bare(cursor: Any, statement: str, context: Any) -> bool:
        begun = clock()
        try:
            context.dialect.do_execute_no_params(cursor, statement, context)
        except BaseException as error:
            sent(context.root_connection, statement, clock() - begun, type(error).__name__)
            raise
        sent(context.root_connection, statement, clock() - begun, "")
        return True

    # Of the dialect, since events around a cursor would cost 4 % of a read; those that guard the walls come before.
    event.listen(engine, "do_execute", one)
    event.listen(engine, "do_executemany", many)
    event.listen(engine, "do_execute_no_params", bare)


# First of all, so that a transaction's time has its BEGIN in it.
@event.listens_for(TenantSession, "after_begin", insert=True)
def _begin(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    watcher = session.info["tenancy"].watcher
    if watcher is not None and not transaction.nested:
        session.info[NOTE] = watcher.began(session, connection)


@event.listens_for(TenantSession, "after_commit")
def _commit(session: Session) -> None:
    if NOTE in session.info and not session.in_nested_transaction():
        session.info[NOTE].committed = True


@event.listens_for(TenantSession, "after_transaction_end")
def _end(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None and NOTE in session.info:
        session.info["tenancy"].watcher.ended(session.info.pop(NOTE))
