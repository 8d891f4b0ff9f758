"""Primary keys, unique constraints and indexes: lifted so that each begins with the tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, UnaryExpression, UniqueConstraint

from tenantry.models.ownership import TENANT_COLUMN

_OF_VECTORS: Final = ("hnsw", "ivfflat")


def lift_primary_key(table: Table) -> None:
    """Puts the tenant column first in the primary key of *table*."""
    key = table.primary_key
    names = [column.name for column in key]
    if TENANT_COLUMN not in names or names[0] == TENANT_COLUMN:
        return
    rest = [column for column in key if column.name != TENANT_COLUMN]
    set_primary_key(table, rest)


def set_primary_key(table: Table, columns: Sequence[Column[Any]]) -> None:
    """Makes the tenant column and then *columns* the primary key of *table*."""
    key = table.primary_key
    options: dict[str, Any] = {"name": key.name, **key.dialect_kwargs}
    table.append_constraint(PrimaryKeyConstraint(table.c[TENANT_COLUMN], *columns, **options))


def lift_unique_constraints(table: Table) -> None:
    """Makes what is declared unique unique per tenant."""
    found = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    for constraint in sorted(found, key=lambda constraint: [column.name for column in constraint.columns]):
        if not begins_with_tenant(constraint):
            _lift_unique(table, constraint)


def lift_indexes(table: Table) -> None:
    """Puts the tenant column first in every index that can carry it: HNSW, GIN and their like cannot."""
    for index in list(table.indexes):
        if not holds_tenant(index) and carries_tenant(index):
            _lift_index(table, index)


def begins_with_tenant(constraint: UniqueConstraint | PrimaryKeyConstraint) -> bool:
    """Returns whether the first column of *constraint* is the tenant's."""
    first = next(iter(constraint.columns), None)
    return first is not None and first.name == TENANT_COLUMN


def holds_tenant(index: Index) -> bool:
    """Returns whether the tenant is among what *index* holds; what is only made of it may be alike for two."""
    plain = (each.element if isinstance(each, UnaryExpression) else each for each in index.expressions)
    return any(isinstance(each, Column) and each.name == TENANT_COLUMN for each in plain)


def carries_tenant(index: Index) -> bool:
    """Returns whether *index* is of a kind that can hold a UUID beside its own columns."""
    return str(index.dialect_kwargs.get("postgresql_using") or "btree").lower() == "btree"


def is_of_vectors(index: Index) -> bool:
    """Returns whether *index* is of a kind that finds neighbours of vectors, which only PostgreSQL has."""
    return str(index.dialect_kwargs.get("postgresql_using") or "").lower() in _OF_VECTORS


def _lift_unique(table: Table, constraint: UniqueConstraint) -> None:
    rest = [column for column in constraint.columns if column.name != TENANT_COLUMN]
    table.constraints.discard(constraint)
    lifted = UniqueConstraint(
        table.c[TENANT_COLUMN],
        *rest,
        name=constraint.name,
        deferrable=constraint.deferrable,
        initially=constraint.initially,
        info=constraint.info,
        **constraint.dialect_kwargs,
    )
    lifted.comment = constraint.comment
    _forget_flags(rest)


def _lift_index(table: Table, index: Index) -> None:
    expressions = list(index.expressions)
    table.indexes.discard(index)
    Index(
        index.name,
        table.c[TENANT_COLUMN],
        *expressions,
        unique=index.unique,
        info=index.info,
        **index.dialect_kwargs,
    )
    _forget_flags(list(index.columns))


def _forget_flags(columns: list[Column[object]]) -> None:
    # Table.to_metadata() would make the unlifted constraint again out of these.
    if len(columns) == 1:
        columns[0].unique = columns[0].index = None
