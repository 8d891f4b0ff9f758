"""Plans of statements as a tenant's session sends them, without running what is explained."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Executable, event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from tenantry.errors import ConfigurationError, ExplainRefused
from tenantry.session.core import TenantSession
from tenantry.types import Isolation

_EXPLAINABLE: Final = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|REPLACE)\b", re.IGNORECASE)
_ONE: Final = "Give one statement, its values as parameters."
_OWN_FILE: Final = "Give it to a session of a tenant with a file of its own."
_NO_TIMES: Final = "SQLite tells no times of a plan."


@dataclass(frozen=True, slots=True)
class Plan:
    """The lines of a plan, and the statement that they are of, with places for its values."""

    lines: tuple[str, ...]
    statement: str
    executed: bool

    def __str__(self) -> str:
        return "\n".join(self.lines)


class _Planned(Exception):
    """Carries a plan past everything that would go on with the statement's rows, of which there are none."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan


def explain(session: TenantSession, statement: Executable, params: Any = None, *, execute: bool = False) -> Plan:
    """Returns the plan of a statement as this session would send it, the tenant's predicate in it; nothing is changed.

    Without *execute* the statement does not run, and pending objects are not flushed. With it, PostgreSQL runs it to
    take its times, inside a savepoint that is rolled back.

    Raises: ExplainRefused for what is no single SELECT, INSERT, UPDATE, DELETE or MERGE, ConfigurationError for
        *execute* on SQLite, and what the database says.
    """
    if session.get_bind().dialect.name == "sqlite" and session.tenant.isolation is Isolation.ROWS:
        raise ExplainRefused(what="is in a file with others' rows, whose wall lets no plan through", fix=_OWN_FILE)
    with session.no_autoflush:
        connection = Session.connection(session)
        with _prefixed(connection, execute=execute):
            try:
                session.execute(statement, params)
            except _Planned as found:
                return found.plan
    raise ExplainRefused(what="sent nothing", fix=_ONE)


async def explain_async(session: Any, statement: Executable, params: Any = None, *, execute: bool = False) -> Plan:
    """Returns the same for an asynchronous session.

    Raises: as ``explain``.
    """
    plan: Plan = await session.run_sync(lambda inner: explain(inner, statement, params, execute=execute))
    return plan


@contextlib.contextmanager
def _prefixed(connection: Connection, *, execute: bool) -> Iterator[None]:
    """Has the next statement of a connection explained; whatever it did all the same is rolled back."""
    postgresql = connection.dialect.name == "postgresql"
    if execute and not postgresql:
        raise ConfigurationError(what=_NO_TIMES, fix="Call explain() without execute=True.")
    prefix = ("EXPLAIN (ANALYZE, BUFFERS) " if execute else "EXPLAIN ") if postgresql else "EXPLAIN QUERY PLAN "
    sent: list[str] = []

    def before(_: Connection, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> tuple[str, Any]:
        if many or not _is_one(statement):
            raise ExplainRefused(what="is not one SELECT, INSERT, UPDATE, DELETE or MERGE", fix=_ONE)
        sent.append(statement)
        return prefix + statement, parameters

    def after(_: Connection, cursor: Any, *__: Any) -> None:
        lines = tuple(str(row[-1]) for row in cursor.fetchall())
        raise _Planned(Plan(lines, sent[0], execute))

    savepoint = connection.begin_nested()
    try:
        if postgresql and not execute:
            # A function that lies about being immutable runs while the plan is made.
            connection.exec_driver_sql("SET LOCAL transaction_read_only = on")
        event.listen(connection, "before_cursor_execute", before, retval=True)
        event.listen(connection, "after_cursor_execute", after)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", before)
            event.remove(connection, "after_cursor_execute", after)
    finally:
        savepoint.rollback()


def _is_one(statement: str) -> bool:
    # "EXPLAIN ANALYZE DELETE ..." runs, and so does what follows a semicolon. One in a literal is refused as well: to
    # tell them apart is to know each database's quotes.
    return bool(_EXPLAINABLE.match(statement)) and ";" not in statement.rstrip().removesuffix(";")
