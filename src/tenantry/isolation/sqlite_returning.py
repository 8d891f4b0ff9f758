"""RETURNING on the views of a walled connection: what the stored row got, not what was given to the view."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from sqlalchemy import Column, Insert, Update
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.expression import ColumnClause, FromClause

from tenantry.isolation.sqlite_stored import quote
from tenantry.models.ownership import is_walled

_STORED: Final = "tenantry_stored"


def teach_returning(dialect: Dialect) -> None:
    """Makes RETURNING fetch what the stored row got by default; SQLite returns what was given to the view."""
    dialect.statement_compiler = _WalledCompiler


class _WalledCompiler(SQLiteCompiler):
    _written_table: FromClause | None = None

    def returning_clause(self, stmt: UpdateBase, *arguments: Any, **options: Any) -> str:
        self._written_table = stmt.table if isinstance(stmt, Insert | Update) else None
        text: str = super().returning_clause(stmt, *arguments, **options)  # type: ignore[no-untyped-call]  # left bare
        self._written_table = None
        return text

    def visit_column(self, column: ColumnClause[Any], *arguments: Any, **options: Any) -> str:
        text = super().visit_column(column, *arguments, **options)
        if self._written_table is not None and column.table is self._written_table and _is_generated(column):
            return self._stored_value(column)
        return text

    def _stored_value(self, column: Column[Any]) -> str:
        table = quote(column.table.name)
        keys = [quote(key.name) for key in column.table.primary_key]
        same_row = " AND ".join(f"{_STORED}.{key} = {table}.{key}" for key in keys)
        return f"(SELECT {_STORED}.{quote(column.name)} FROM {table} AS {_STORED} WHERE {same_row})"


def _is_generated(column: ColumnClause[Any]) -> TypeGuard[Column[Any]]:
    if not isinstance(column, Column) or column.primary_key or not is_walled(column.table):
        return False
    return column.server_default is not None or column.server_onupdate is not None
