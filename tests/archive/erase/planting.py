"""A word planted in every column that holds words, of every table that a tenant has."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

from sqlalchemy import Column, Table, insert, types

from tenantry import Tenancy, Tenant
from tenantry.models import TENANT_COLUMN, Ownership, owned_tables, ownership

# What a constraint or a foreign key asks for.
_ASKED = {("usage_budgets", "period"): "day", ("usage_records", "total_tokens"): 2, ("customers", "kind"): "agent"}


def plant(tenancy: Tenancy, tenant: Tenant, word: str) -> list[str]:
    """Adds a row to every table of the tenant's but its own record, and returns the columns that have the word."""
    planted: list[str] = []
    made: dict[str, dict[str, Any]] = {}
    with tenancy.purging(tenant, reason="planting") as purge:
        for table in owned_tables(tenancy.metadata, Ownership.TENANT, Ownership.RECORD):
            row = {column.name: _value(column, tenant, made, word) for column in table.columns}
            made[table.name] = row
            stands = purge.standing(table)
            if ownership(table) is Ownership.RECORD:
                words = {name: value for name, value in row.items() if name not in (TENANT_COLUMN, "id")}
                purge.connection.execute(stands.update().where(purge.own(stands)).values(words))
            else:
                purge.connection.execute(insert(stands).values(row))
            planted += [f"{table.name}.{name}" for name, value in row.items() if word in str(value)]
    return planted


def wordless(table: Table) -> set[str]:
    """Returns the columns of a table in which no word can stand."""
    return {f"{table.name}.{column.name}" for column in table.columns if not _holds_words(column)}


def _value(column: Column[Any], tenant: Tenant, made: dict[str, dict[str, Any]], word: str) -> Any:
    table = column.table.name
    if (table, column.name) in _ASKED:
        return _ASKED[table, column.name]
    if column.name == TENANT_COLUMN or (column.name == "id" and ownership(column.table) is Ownership.RECORD):
        return tenant.id
    for key in column.foreign_keys:
        return made[key.column.table.name][key.column.name]
    return _typed(column, word)


def _typed(column: Column[Any], word: str) -> Any:
    kind = getattr(column.type, "impl_instance", column.type)
    if isinstance(kind, types.JSON):
        return {"deep": [{"er": word}], word: 1}
    if isinstance(kind, types.LargeBinary):
        return b"\0" + word.encode()
    if isinstance(kind, types.Uuid):
        return uuid.uuid4()
    if isinstance(kind, types.Boolean):
        return False
    if isinstance(kind, types.DateTime):
        return datetime.datetime.now(datetime.UTC)
    if isinstance(kind, types.Numeric):
        return decimal.Decimal(1)
    return 1 if isinstance(kind, types.Integer) else word


def _holds_words(column: Column[Any]) -> bool:
    kind = getattr(column.type, "impl_instance", column.type)
    asked = (column.table.name, column.name) in _ASKED
    return isinstance(kind, types.String | types.JSON | types.LargeBinary) and not asked
