"""Shared rows copied from where the platform writes them to where tenants read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, insert, select, update

Rows = dict[tuple[Any, ...], dict[str, Any]]


def copy_shared(source: Connection, target: Connection, tables: Sequence[Table]) -> None:
    """Makes the rows of *tables* in *target* equal to those in *source*, touching only what differs.

    Rows that tenants refer to stay in place: they are updated, not deleted and inserted again.
    """
    wanted = {table: _rows(source, table) for table in tables}
    found = {table: _rows(target, table) for table in tables}
    for table in tables:
        _bring(target, table, wanted[table], found[table])
    for table in reversed(tables):
        _remove(target, table, found[table].keys() - wanted[table].keys())


def _rows(connection: Connection, table: Table) -> Rows:
    keys = [column.name for column in table.primary_key]
    return {tuple(row[key] for key in keys): dict(row) for row in connection.execute(select(table)).mappings()}


def _bring(connection: Connection, table: Table, wanted: Rows, found: Rows) -> None:
    new = [row for key, row in wanted.items() if key not in found]
    if new:
        connection.execute(insert(table), new)
    for key, row in wanted.items():
        if key in found and found[key] != row:
            connection.execute(update(table).where(_is(table, key)).values(**row))


def _remove(connection: Connection, table: Table, keys: Iterable[tuple[Any, ...]]) -> None:
    for key in keys:
        connection.execute(delete(table).where(_is(table, key)))


def _is(table: Table, key: tuple[Any, ...]) -> Any:
    return and_(*(column == value for column, value in zip(table.primary_key, key, strict=True)))
