"""Which statements may leave something on a connection after their transaction, and what sweeps it away."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# Everything that survives a ROLLBACK on a connection; also asyncpg's own reset query (HAZARDS A19).
SWEEP: Final = "CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); RESET ALL"

# Plain DML and savepoints, without the functions that reach outside the transaction. Anything unknown is swept, in the
# message that ends the transaction: that costs no trip, but a twentieth of a short read.
_PLAIN: Final = re.compile(r"\s*(?:select|insert|update|delete|with|values|savepoint|release|rollback\s+to)\b", re.I)
_REACHING: Final = re.compile(
    r";|advisory|set_config|dblink|\blo_|\binto\s+(?:temp|unlogged)"
    # A name in Unicode escapes may be any of the others; so may what stands in a query given as text.
    r'|u&"|ts_stat|ts_rewrite|query_to_|crosstab|connectby',
    re.I,
)

# DEALLOCATE ALL and DISCARD would take the driver's own prepared statements too, and the driver would not know.
_LASTING: Final = re.compile(r"\b(?:prepare|deallocate|discard)\b", re.I)


@lru_cache(maxsize=4096)
def may_leave_residue(statement: str) -> bool:
    """Whether session state may survive the end of the transaction that runs *statement*."""
    return not _PLAIN.match(statement) or bool(_REACHING.search(statement))


@lru_cache(maxsize=1024)
def outlives_sweep(statement: str) -> bool:
    """Whether a statement that leaves residue may leave some that only the end of the connection removes."""
    return bool(_LASTING.search(statement))
