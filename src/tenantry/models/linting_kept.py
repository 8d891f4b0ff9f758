"""What the linter says of tables whose rows are kept: append-only ones, and those of which rows are hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy import ForeignKeyConstraint, Table

from tenantry.models.append_only import APPEND_ONLY
from tenantry.models.foreign_keys import target_table
from tenantry.models.ownership import is_walled
from tenantry.models.soft_delete import SOFT_DELETE, is_soft
from tenantry.types import Finding

_CHANGING: Final = re.compile(r"\s*(CASCADE|SET\s+NULL|SET\s+DEFAULT)\b", re.IGNORECASE)
# Columns that only a later change of the row would fill.
_LATER: Final = ("updated_at", "deleted_at", "deleted_by")


def judge(table: Table) -> Iterator[Finding]:
    """Yields what of an append-only table would change its rows, and what of a soft-deleted one is not as it seems."""
    if table.info.get(APPEND_ONLY):
        yield from _judge_append_only(table)
    if table.info.get(SOFT_DELETE) and not is_walled(table):
        message = "Rows that are soft-deleted are hidden in tenants' sessions alone, and this table is no tenant's."
        yield Finding("M025", table.fullname, message, "Make it TenantOwned, or drop SoftDelete.")
    for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
        yield from _judge_target(table, key)


def _judge_target(table: Table, key: ForeignKeyConstraint) -> Iterator[Finding]:
    target = target_table(key)
    if target is None or not is_soft(target):
        return
    referred = {element.target_fullname.rpartition(".")[2] for element in key.elements}
    live = [index for index in target.indexes if SOFT_DELETE in index.info]
    if any({column.name for column in index.columns} == referred for index in live):
        message = f"The key refers to columns of {target.name} that are unique among its live rows only."
        fix = "Refer to its id, or declare the constraint with info={'include_deleted': True}."
        yield Finding("M026", f"{table.fullname}({', '.join(key.column_keys)})", message, fix)


def _judge_append_only(table: Table) -> Iterator[Finding]:
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
