"""Statements that would change what is append-only, told before they are sent; the database refuses the rest."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.util import find_tables

from tenantry.errors import AppendOnlyViolation
from tenantry.models import is_append_only

_CHANGING: Final = (postgresql.dml.OnConflictDoUpdate, sqlite.dml.OnConflictDoUpdate)


def check_appending(statement: Any) -> None:
    """Lets a statement pass that changes and deletes no row of an append-only table.

    Raises: AppendOnlyViolation.
    """
    if not isinstance(statement, UpdateBase):
        return
    appends = isinstance(statement, Insert)
    if appends and not isinstance(getattr(statement, "_post_values_clause", None), _CHANGING):
        return
    for table in find_tables(statement.table, include_joins=True, include_aliases=True):
        refuse_append_only(table, "INSERT ... ON CONFLICT DO UPDATE" if appends else _word(statement))


def refuse_append_only(table: Any, action: str) -> None:
    """Lets any table pass that is not append-only.

    Raises: AppendOnlyViolation.
    """
    if isinstance(table, Table) and is_append_only(table):
        raise AppendOnlyViolation(table=table.name, action=action)


def _word(statement: UpdateBase) -> str:
    return "DELETE" if statement.is_delete else "UPDATE"
