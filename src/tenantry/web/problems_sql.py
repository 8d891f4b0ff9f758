"""What kind of fault an error of the database is, by its code and never by its text."""

from __future__ import annotations

import enum
import traceback
from typing import Any, Final

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    NoResultFound,
    StatementError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)
from sqlalchemy.orm.exc import StaleDataError


class Fault(enum.Enum):
    """What went wrong, as far as a client can do something about it."""

    MISSING = "missing"
    CONFLICT = "conflict"
    INVALID = "invalid"
    BUSY = "busy"


# What drivers raise as it is, for text that is not Unicode and numbers that no column holds.
UNSENDABLE: Final = (UnicodeEncodeError, OverflowError)

# PostgreSQL's appendix A: a code of five characters, whose first two are its class.
_STATES: Final = {
    "23502": Fault.INVALID,
    "23503": Fault.CONFLICT,
    "23505": Fault.CONFLICT,
    "23514": Fault.INVALID,
    "23P01": Fault.CONFLICT,
    "55P03": Fault.BUSY,
    "57014": Fault.BUSY,
}
_CLASSES: Final = {"08": Fault.BUSY, "22": Fault.INVALID, "40": Fault.BUSY, "53": Fault.BUSY, "57": Fault.BUSY}
_SQLITE: Final = {
    "SQLITE_BUSY": Fault.BUSY,
    "SQLITE_CONSTRAINT_CHECK": Fault.INVALID,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Fault.CONFLICT,
    "SQLITE_CONSTRAINT_NOTNULL": Fault.INVALID,
    "SQLITE_CONSTRAINT_PRIMARYKEY": Fault.CONFLICT,
    "SQLITE_CONSTRAINT_UNIQUE": Fault.CONFLICT,
    "SQLITE_FULL": Fault.BUSY,
    "SQLITE_LOCKED": Fault.BUSY,
    "SQLITE_TOOBIG": Fault.INVALID,
}
_KINDS: Final = {
    NoResultFound: Fault.MISSING,
    StaleDataError: Fault.CONFLICT,
    DataError: Fault.INVALID,
    PoolTimeout: Fault.BUSY,
}


def fault_of(error: BaseException) -> Fault | None:
    """Returns the fault of a request behind *error*, or None where the program is wrong or no database had a part."""
    if isinstance(error, UNSENDABLE):
        return Fault.INVALID if _on_the_way(error) else None
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Fault.BUSY
    coded = _by_code(error.orig) if isinstance(error, StatementError) else None
    return coded or next((fault for kind, fault in _KINDS.items() if isinstance(error, kind)), None)


def _by_code(orig: Any) -> Fault | None:
    state = getattr(orig, "sqlstate", None) or ""
    found = _STATES.get(state) or _CLASSES.get(state[:2]) or _SQLITE.get(getattr(orig, "sqlite_errorname", ""))
    # A value that its column's type cannot even turn into what is sent: no UUID, no date.
    return found or (Fault.INVALID if isinstance(orig, (ValueError, OverflowError)) else None)


def _on_the_way(error: BaseException) -> bool:
    """Returns whether *error* came up while a statement was being sent, and not in the program's own sums."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("sqlalchemy.engine") for frame, _ in frames)
