"""Errors of migrations in words that may be stored and shown: what the database said, without anybody's rows."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from tenantry.errors import OutcomeUnknown, TenantryError

# The server is going, or has gone, and may come back: connection exceptions and operator intervention.
_LOST_CLASSES = ("08", "57P")


def describe(error: BaseException) -> str:
    """Returns one line about *error*: ours as they are, of a database's the code and the primary message."""
    if isinstance(error, TenantryError | OSError):
        return str(error)
    if isinstance(error, DBAPIError) and error.orig is not None:
        return describe(error.orig)
    state, message = getattr(error, "sqlstate", None), getattr(getattr(error, "diag", None), "message_primary", None)
    if state:
        return f"{message} (SQLSTATE {state})"
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
