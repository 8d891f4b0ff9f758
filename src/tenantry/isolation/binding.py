"""What a transaction is bound to: the first message it sends, or the tenant it tells the SQLite wall."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.engine import Connection

from tenantry.errors import TransactionModeRefused

OPTION: Final = "tenantry_binding"
LEVEL_OPTION: Final = "tenantry_isolation_level"
READ_ONLY_OPTION: Final = "postgresql_readonly"
DEFERRABLE_OPTION: Final = "postgresql_deferrable"

# Everything that survives a ROLLBACK on a connection; also asyncpg's own reset query (HAZARDS A19).
SWEEP: Final = "CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); RESET ALL"

_LEVELS: Final = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@dataclass(frozen=True, slots=True)
class Binding:
    """The context of every transaction of one tenant, or of the library's own work when ``tenant`` is None."""

    tenant: uuid.UUID | None
    preamble: str = ""
    prepared: bool = True


UNBOUND: Final = Binding(None)


def begin_statement(connection: Connection) -> str:
    """Returns the BEGIN that the connection's execution options ask for."""
    options = connection.get_execution_options()
    level = options.get(LEVEL_OPTION)
    words = ["BEGIN"]
    if level:
        words.append(f"ISOLATION LEVEL {level}")
    if options.get(READ_ONLY_OPTION):
        words.append("READ ONLY")
    if options.get(DEFERRABLE_OPTION):
        words.append("DEFERRABLE")
    return " ".join(words)


def take_isolation_level(options: dict[str, Any]) -> None:
    """Moves a requested isolation level to where our own BEGIN finds it; the driver stays in AUTOCOMMIT.

    Raises: TransactionModeRefused for AUTOCOMMIT and for a level PostgreSQL does not have.
    """
    if "isolation_level" not in options:
        return
    level = str(options.pop("isolation_level")).upper().replace("_", " ")
    check_isolation_level(level)
    options[LEVEL_OPTION] = level


def check_isolation_level(level: str) -> None:
    """Lets an ordinary transaction's isolation level pass.

    Raises: TransactionModeRefused for any other, AUTOCOMMIT above all (HAZARDS B12).
    """
    if level not in _LEVELS:
        raise TransactionModeRefused(mode=level, fix=f"Ask for one of {', '.join(_LEVELS)}.")
