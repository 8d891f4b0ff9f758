"""What the linter says of append-only tables: nothing else may change or delete their rows, nor promise to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Table

from tenantry.models.append_only import APPEND_ONLY
from tenantry.models.ownership import is_walled
from tenantry.types import Finding

_CHANGING: Final = re.compile(r"\s*(CASCADE|SET\s+NULL|SET\s+DEFAULT)\b", re.IGNORECASE)
# Columns that only a later change of the row would fill.
_LATER: Final = ("updated_at", "deleted_at", "deleted_by")


def judge(table: Table) -> Iterator[Finding]:
    """Yields what of an append-only table would change or delete its rows."""
    if not table.info.get(APPEND_ONLY):
        return
    if not is_walled(table):
        message = "The table is marked append-only, but only tenants' tables are kept so."
        yield Finding("M022", table.fullname, message, "Make it TenantOwned, or drop the mark.")
    for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
        if _CHANGING.match(key.ondelete or "") or _CHANGING.match(key.onupdate or ""):
            message = "The table is append-only, and the key's action would delete or change its rows."
            fix = "Drop ondelete= and onupdate=, or keep the id in an ordinary column without a foreign key."
            yield Finding("M023", f"{table.fullname}({', '.join(key.column_keys)})", message, fix)
    for column in table.columns:
        if column.name in _LATER or column.onupdate is not None:
            message = "The table is append-only, so nothing ever changes in its rows that this column would tell."
            yield Finding(
                "M024", f"{table.fullname}.{column.name}", message, "Drop it; CreatedAt gives created_at alone."
            )
