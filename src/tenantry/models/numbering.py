"""Integer ids: an identity column on PostgreSQL, a counter row per tenant on SQLite."""

from __future__ import annotations

import uuid
from collections import ChainMap, Counter
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Identity,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
    event,
    func,
    insert,
    select,
    update,
)

from tenantry.models.ownership import MARK, TENANT_COLUMN, Ownership

COUNTERS: Final = "tenantry_counters"
# In Column.info: rows are numbered within their tenant.
NUMBERED: Final = "tenantry_numbered"

Row = dict[str, Any]


def number_rows(table: Table) -> None:
    """Lets the database number the rows of *table* if its id is an integer that nothing else fills."""
    column = _unfilled_integer(table)
    if column is None:
        return
    column.autoincrement = "auto"
    if column.identity is None:
        column._init_items(Identity())
    column.info[NUMBERED] = True
    counters_table(table.metadata)
    if not event.contains(Engine, "before_execute", _number_inserts):
        event.listen(Engine, "before_execute", _number_inserts, retval=True)


def counters_table(metadata: MetaData) -> Table:
    """Returns the walled table that holds each tenant's counters; it stands where some table needs numbers."""
    if COUNTERS in metadata.tables:
        return metadata.tables[COUNTERS]
    return Table(
        COUNTERS,
        metadata,
        Column(TENANT_COLUMN, Uuid(), primary_key=True),
        Column("name", String(63), primary_key=True),
        Column("value", BigInteger, nullable=False),
        info={MARK: Ownership.TENANT},
    )


def numbered_column(table: Table) -> Column[Any] | None:
    """Returns the column of *table* that is numbered within each tenant."""
    return next((column for column in table.primary_key if NUMBERED in column.info), None)


def _unfilled_integer(table: Table) -> Column[Any] | None:
    own = [column for column in table.primary_key if column.name != TENANT_COLUMN]
    if len(own) != 1 or TENANT_COLUMN not in table.primary_key.columns:
        return None
    column = own[0]
    by_server = column.server_default is not None and column.identity is None
    filled = column.foreign_keys or column.default is not None or by_server
    if NUMBERED in column.info or filled or column.autoincrement is False or not isinstance(column.type, Integer):
        return None
    return column


def _number_inserts(
    connection: Connection, statement: Any, multiparams: Sequence[Row], params: Row, _options: Any
) -> tuple[Any, Sequence[Row], Row]:
    column = _numbered_by(statement) if connection.dialect.name == "sqlite" else None
    if column is None:
        return statement, multiparams, params
    rows = [dict(row) for row in multiparams or ([params] if params else [])]
    if rows:
        _fill(connection, column, [ChainMap(row, *_inline_rows(statement)) for row in rows])
        return statement, rows, {}
    return _with_inline_numbers(connection, statement, column), (), {}


def _numbered_by(statement: Any) -> Column[Any] | None:
    if not isinstance(statement, Insert) or statement.select is not None or not isinstance(statement.table, Table):
        return None
    return numbered_column(statement.table)


def _with_inline_numbers(connection: Connection, statement: Insert, column: Column[Any]) -> Insert:
    rows = [dict(row) for row in _inline_rows(statement)]
    _fill(connection, column, rows)
    if statement._multi_values:
        statement = statement._clone()
        statement._multi_values = (cast(Any, rows),)
        return statement
    numbers = [row[column.key] for row in rows if column.key in row]
    return statement.values({column.key: numbers[0]}) if numbers else statement


def _inline_rows(statement: Insert) -> list[Row]:
    """Returns what ``insert(...).values(...)`` holds, by the columns' keys."""
    given: list[Any] = [row for group in statement._multi_values or () for row in group]
    if not given and statement._values:
        given = [statement._values]
    return [
        {getattr(key, "key", key): getattr(value, "effective_value", value) for key, value in row.items()}
        for row in given
    ]


def _fill(connection: Connection, column: Column[Any], rows: Sequence[MutableMapping[str, Any]]) -> None:
    lacking = [row for row in rows if row.get(column.key) is None and row.get(TENANT_COLUMN) is not None]
    tenants = Counter(row[TENANT_COLUMN] for row in lacking)
    numbers = {tenant: _take_numbers(connection, column, tenant, count) for tenant, count in tenants.items()}
    for row in lacking:
        row[column.key] = next(numbers[row[TENANT_COLUMN]])


def _take_numbers(connection: Connection, column: Column[Any], tenant: uuid.UUID, count: int) -> Iterator[int]:
    """Moves the tenant's counter by *count*; ids given by hand move it too, so that none is taken twice."""
    counters = counters_table(column.table.metadata)
    mine = {TENANT_COLUMN: tenant, "name": column.table.name}
    highest = select(func.coalesce(func.max(column), 0)).where(column.table.c[TENANT_COLUMN] == tenant)
    row = counters.c[TENANT_COLUMN] == tenant, counters.c.name == mine["name"]
    raised = func.max(counters.c.value, highest.scalar_subquery()) + count
    # Two statements: the wall of common tables is a view, and a view takes no upsert.
    last = connection.scalar(update(counters).where(*row).values(value=raised).returning(counters.c.value))
    if last is None:
        first = insert(counters).values(**mine, value=highest.scalar_subquery() + count)
        last = connection.scalar(first.returning(counters.c.value))
    return iter(range(last - count + 1, last + 1))
