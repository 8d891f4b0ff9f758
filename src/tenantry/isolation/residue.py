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
_REACHING: Final = re.compile(r";|advisory|set_config|dblink|\blo_|\binto\s+(?:temp|unlogged)", re.I)


@lru_cache(maxsize=4096)
def may_leave_residue(statement: str) -> bool:
    """Whether session state may survive the end of the transaction that runs *statement*."""
    return not _PLAIN.match(statement) or bool(_REACHING.search(statement))
