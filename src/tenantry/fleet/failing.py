"""Errors of migrations in words that may be stored and shown: what the database said, without anybody's rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy.exc import DBAPIError

from tenantry.errors import OutcomeUnknown, TenantryError

# The server is going, or has gone, and may come back: connection exceptions and operator intervention.
_LOST_CLASSES: Final = ("08", "57P")
# Data exceptions quote the value that they are about, even in the primary message (22P02 does); it may hold quotes too.
_DATA_EXCEPTION: Final = "22"
_QUOTED: Final = re.compile(r'".*"', re.DOTALL)


def describe(error: BaseException) -> str:
    """Returns one line about *error*: ours as they are, of a database's the code and the primary message."""
    if isinstance(error, TenantryError | OSError):
        return str(error)
    if isinstance(error, DBAPIError) and error.orig is not None:
        return describe(error.orig)
    state, message = getattr(error, "sqlstate", None), getattr(getattr(error, "diag", None), "message_primary", None)
    if state:
        said = _QUOTED.sub('"…"', str(message)) if state.startswith(_DATA_EXCEPTION) else message
        return f"{said} (SQLSTATE {state})"
    if _of_psycopg(error, "OperationalError"):
        # The client's own words about its connection.
        return str(error).partition("\n")[0]
    if hasattr(error, "sqlite_errorname"):
        return f"{error} ({error.sqlite_errorname})"
    # Anybody's exception may quote a row.
    return type(error).__name__


def was_lost(error: BaseException) -> bool:
    """Whether the connection broke, so that the same may succeed on another."""
    return any(_broke(cause) for cause in _causes(error))


def _broke(error: BaseException) -> bool:
    if isinstance(error, OutcomeUnknown) or getattr(error, "connection_invalidated", False):
        return True
    state = getattr(error, "sqlstate", None)
    # Without a state the client itself saw the connection end.
    return _of_psycopg(error, "OperationalError") if state is None else str(state).startswith(_LOST_CLASSES)


def _of_psycopg(error: BaseException, name: str) -> bool:
    # Only psycopg's errors have a pgconn; the driver itself need not be installed.
    return hasattr(error, "pgconn") and type(error).__name__ == name


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
