"""The keys that the models give a tenant's table, beside those that it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Index, Table, UniqueConstraint

from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.shapes import FOREIGN, INDEX, PRIMARY, Key
from tenantry.models import TENANT_COLUMN, is_walled
from tenantry.models.foreign_keys import own_elements, target_table


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A key that a table has and the models do not."""

    table: str
    key: Key
    columns: tuple[str, ...]

    @property
    def title(self) -> str:
        """What messages call it; SQLite leaves most keys without a name."""
        return f"{self.key.kind} {self.key.name}".strip()

    @property
    def label(self) -> str:
        """How a plan names it to let it go."""
        return f"{self.table}({', '.join(self.columns)})"


def uniques_of(table: Table) -> Iterator[tuple[str, ...]]:
    """Yields the columns, beside the tenant's, by which the models tell a tenant's rows apart; the key comes first."""
    yield _own(table.primary_key.columns)
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, UniqueConstraint):
            yield _own(constraint.columns)
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.unique and is_plain(index):
            yield _own(index.columns)


def is_plain(index: Index) -> bool:
    """Whether an index holds columns and nothing computed, of all the rows."""
    partial = any(index.dialect_kwargs.get(f"{dialect}_where") is not None for dialect in ("postgresql", "sqlite"))
    return not partial and all(isinstance(expression, Column) for expression in index.expressions)


def unsaid_keys(expressions: Expressions) -> Iterator[Unsaid]:
    """Yields the keys of and to the tenants' tables that the models do not have."""
    for name, shape in sorted(expressions.shapes.items()):
        table = _table(expressions, name)
        for key in shape.keys:
            columns = _then(expressions, name, key)
            if not columns or key.kind == INDEX or _is_said(table, key, columns, expressions):
                continue
            yield Unsaid(name, key, columns)


def _is_said(table: Table, key: Key, columns: tuple[str, ...], expressions: Expressions) -> bool:
    if key.kind == FOREIGN:
        leads_to_tenant = key.target in {walled.name for walled in expressions.walled}
        if not is_walled(table):
            return not leads_to_tenant
        return (frozenset(columns), key.target) in set(_foreign(table))
    if not is_walled(table):
        return True
    if key.kind == PRIMARY and frozenset(columns) == frozenset(_own(table.primary_key.columns)):
        return True
    return frozenset(columns) in {frozenset(own) for own in uniques_of(table)}


def _foreign(table: Table) -> Iterator[tuple[frozenset[str], str]]:
    for constraint in table.foreign_key_constraints:
        target = target_table(constraint)
        if target is not None:
            yield frozenset(element.parent.name for element in own_elements(constraint)), target.name


def _then(expressions: Expressions, name: str, key: Key) -> tuple[str, ...]:
    """Returns a key's columns as they were called before, without the tenant's own."""
    columns = expressions.shapes[name].columns
    found = [columns[column] for column in key.columns if column in columns]
    return tuple(column.former for column in found if not column.ours and column.former != TENANT_COLUMN)


def _own(columns: object) -> tuple[str, ...]:
    return tuple(column.name for column in columns if column.name != TENANT_COLUMN)  # type: ignore[attr-defined]  # SQLAlchemy's collections share no public type


def _table(expressions: Expressions, name: str) -> Table:
    return next(table for table in expressions.metadata.tables.values() if table.name == name)
