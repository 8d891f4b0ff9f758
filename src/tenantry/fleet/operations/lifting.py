"""Keys, unique constraints and indexes of a revision, lifted as the models' are: each begins with the tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
)

from tenantry.fleet.operations.known import Known
from tenantry.models import TENANT_COLUMN
from tenantry.models.foreign_keys import replaced_key
from tenantry.models.indexes import (
    begins_with_tenant,
    carries_tenant,
    lift_indexes,
    lift_unique_constraints,
    set_primary_key,
)

C = TypeVar("C", bound=Constraint)


def is_shaped_walled(table: Table) -> bool:
    """Returns whether a table to be made has the column that says whose each row is."""
    return TENANT_COLUMN in table.c


def lift_new_table(table: Table, known: Known) -> None:
    """Lifts a walled table that is about to be made."""
    rest = [column for column in table.primary_key if column.name != TENANT_COLUMN]
    if rest and not begins_with_tenant(table.primary_key):
        # SQLAlchemy warns where columns say one thing of the key and a constraint another.
        table.c[TENANT_COLUMN].primary_key = True
        set_primary_key(table, rest)
    lift_unique_constraints(table)
    lift_indexes(table)
    for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
        _lift_key(key, known)


def lifted_constraint(constraint: Constraint, known: Known) -> Constraint:
    """Returns a constraint to be added to a walled table as it must be there."""
    table = constraint.table
    if not isinstance(constraint, ForeignKeyConstraint | UniqueConstraint | PrimaryKeyConstraint):
        return constraint
    if TENANT_COLUMN in constraint.columns or not known.surely_walled(table.name, table.schema):
        return constraint
    return _lift_key(constraint, known) if isinstance(constraint, ForeignKeyConstraint) else _with_tenant(constraint)


def lifted_index(index: Index, known: Known, *, everywhere: bool) -> Index:
    """Returns an index to be made on a walled table with the tenant in front, where its kind can carry it.

    Args:
        everywhere: whether every kind of index is an ordinary one here, as in SQLite.
    """
    table = index.table
    if table is None or TENANT_COLUMN in index.columns or not (everywhere or carries_tenant(index)):
        return index
    if not known.surely_walled(table.name, table.schema):
        return index
    options: dict[str, Any] = dict(index.dialect_kwargs)
    if everywhere:
        # An ordinary index there; that it holds only some of the rows stays.
        options = {name: value for name, value in options.items() if name == "sqlite_where"}
    return Index(index.name, _tenant_of(table), *index.expressions, unique=index.unique, **options)


def referred_name(constraint: ForeignKeyConstraint) -> tuple[str, str | None]:
    """Returns name and schema of the table that a key refers to."""
    schema, _, name = constraint.elements[0].target_fullname.rpartition(".")[0].rpartition(".")
    return name, schema or None


def _lift_key(key: ForeignKeyConstraint, known: Known) -> ForeignKeyConstraint:
    name, schema = referred_name(key)
    table = key.table
    same = name == table.name and schema == table.schema
    if TENANT_COLUMN in key.column_keys or not (same or known.surely_walled(name, schema)):
        return key
    _tenant_of(table)
    target = table if same else _placeholder(name, table.metadata, _referred_columns(key))
    return replaced_key(table, key, target, with_tenant=True)


def _referred_columns(key: ForeignKeyConstraint) -> Sequence[str]:
    return [TENANT_COLUMN, *(element.target_fullname.rpartition(".")[2] for element in key.elements)]


def _placeholder(name: str, metadata: MetaData, columns: Sequence[str]) -> Table:
    return Table(name, metadata, *(Column(column, Uuid()) for column in columns), extend_existing=True)


def _with_tenant(constraint: UniqueConstraint | PrimaryKeyConstraint) -> Constraint:
    table = constraint.table
    columns = [_tenant_of(table), *constraint.columns]
    table.constraints.discard(constraint)
    own: dict[str, Any] = {"deferrable": constraint.deferrable, "initially": constraint.initially}
    options = {"name": constraint.name, **own, **constraint.dialect_kwargs}
    lifted = type(constraint)(*columns, **options)
    table.append_constraint(lifted)
    return lifted


def _tenant_of(table: Table) -> Column[Any]:
    if TENANT_COLUMN not in table.c:
        table.append_column(Column(TENANT_COLUMN, Uuid()))
    return table.c[TENANT_COLUMN]
