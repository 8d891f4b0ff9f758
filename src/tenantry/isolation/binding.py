"""What a transaction is bound to: the first message it sends, or the tenant it tells the SQLite wall."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine import Connection

from tenantry.errors import TransactionModeRefused

READ_ONLY_OPTION: Final = "postgresql_readonly"

PLAIN_BEGIN: Final = "BEGIN"

_LEVELS: Final = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@dataclass(frozen=True, slots=True)
class Binding:
    """The context of every transaction of one tenant, or of the library's own work when ``tenant`` is None."""

    tenant: uuid.UUID | None
    preamble: str = ""
    prepared: bool = True


UNBOUND: Final = Binding(None)


def begin_statement(connection: Connection) -> str:
    """Returns the BEGIN that the connection's execution options ask for.

    Raises: TransactionModeRefused for AUTOCOMMIT and for a level PostgreSQL does not have.
    """
    options = connection.get_execution_options()
    if not options:
        return PLAIN_BEGIN
    words = [PLAIN_BEGIN]
    if "isolation_level" in options:
        words.append(f"ISOLATION LEVEL {checked_level(str(options['isolation_level']))}")
    if options.get(READ_ONLY_OPTION):
        words.append("READ ONLY")
    if options.get("postgresql_deferrable"):
        words.append("DEFERRABLE")
    return " ".join(words)


def checked_level(level: str) -> str:
    """Returns an ordinary transaction's isolation level in the words of SQL.

    Raises: TransactionModeRefused for any other, AUTOCOMMIT above all (HAZARDS B12).
    """
    words = level.upper().replace("_", " ")
    if words not in _LEVELS:
        raise TransactionModeRefused(mode=words, fix=f"Ask for one of {', '.join(_LEVELS)}.")
    return words
