"""Upserts: which key tells rows apart, what changes in a row that is there already, and PostgreSQL's one statement."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Index, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapper, class_mapper
from sqlalchemy.sql.dml import ReturningInsert

from tenantry.errors import CrossTenant, UpsertRefused
from tenantry.models import TENANT_COLUMN
from tenantry.models.soft_delete import DELETED_AT, SOFT_DELETE, has_condition, is_soft
from tenantry.repository.fields import Use, field, fit, is_walled

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Upsert(Generic[M]):
    """A row that is to be there afterwards: all *values* if it is new, the *changes* if *key* finds it."""

    model: type[M]
    values: Mapping[str, Any]
    key: Mapping[str, Any]
    changes: Mapping[str, Any]

    @property
    def plain(self) -> bool:
        """Whether one statement can write the row: it stands in one table, and the mapper fills nothing in."""
        mapper = class_mapper(self.model)
        return len(mapper.tables) == 1 and mapper.polymorphic_on is None and mapper.version_id_col is None


def upsert(model: type[M], values: Mapping[str, Any], *, key: Sequence[str]) -> Upsert[M]:
    """Returns what an upsert writes; the key and the primary key of a row that is there already stay.

    Raises: UnknownField, and UpsertRefused for a key that is not unique or values that are not a whole row's.
    """
    names = {name: field(model, name, use=Use.WRITE).key for name in (*values, *key)}
    row = {names[name]: value for name, value in values.items()}
    unique = [names[name] for name in key]
    _check_key(model, unique, row)
    found = {name: fit(getattr(model, name), row[name]) for name in unique}
    mapper = class_mapper(model)
    fixed = {*unique, *(mapper.get_property_by_column(column).key for column in mapper.primary_key)}
    changes = {name: value for name, value in row.items() if name not in fixed}
    return Upsert(model, {**row, **found}, found, {**dict(_renewed(mapper, changes)), **changes})


def on_conflict(wanted: Upsert[M], tenant: uuid.UUID | None) -> ReturningInsert[Any]:
    """Returns the one statement that inserts or changes the row, on PostgreSQL, and gives it back.

    Raises: CrossTenant for a row that names another tenant.
    """
    row = dict(wanted.values)
    unique = list(wanted.key)
    if is_walled(wanted.model):
        if tenant is not None and row.setdefault(TENANT_COLUMN, tenant) != tenant:
            raise CrossTenant(model=wanted.model.__name__, tenant=tenant)
        unique = [TENANT_COLUMN, *(name for name in unique if name != TENANT_COLUMN)]
    statement = insert(wanted.model).values(_by_column(wanted.model, row))
    # A row without changes is still to come back, and only an updated one does.
    changes = wanted.changes or wanted.key
    statement = statement.on_conflict_do_update(
        index_elements=[_column(wanted.model, name) for name in unique],
        index_where=_live(wanted.model),
        set_={_column(wanted.model, name).name: value for name, value in changes.items()},
    )
    return statement.returning(wanted.model)


def _live(model: type[Any]) -> ColumnElement[bool] | None:
    """Returns the condition of the indexes that are unique among the live rows; a whole index meets it too."""
    table = class_mapper(model).local_table
    return table.c[DELETED_AT].is_(None) if isinstance(table, Table) and is_soft(table) else None


def _check_key(model: type[Any], key: Sequence[str], values: Mapping[str, Any]) -> None:
    known = list(_unique_keys(model))
    reason = None
    if set(key) - _given_by_session(model) not in known:
        reason = "no unique constraint stands on exactly these."
    elif missing := [*(name for name in key if values.get(name) is None), *_lacking(model, values)]:
        # Where the row is there already a database may or may not mind; so the values are those of a whole row.
        reason = f"the values say nothing of {', '.join(dict.fromkeys(missing))}."
    if reason:
        shown = "; ".join(sorted(", ".join(sorted(names)) for names in known))
        raise UpsertRefused(model=model.__name__, key=", ".join(key) or "nothing", reason=reason, known=shown)


def _lacking(model: type[Any], values: Mapping[str, Any]) -> Iterator[str]:
    """Yields the fields without which there can be no new row."""
    mapper = class_mapper(model)
    filled = _given_by_session(model) | set(values)
    for attribute in mapper.column_attrs:
        by_itself = any(_fills_itself(mapper, column) for column in attribute.columns)
        if attribute.key not in filled and not by_itself:
            yield attribute.key


def _fills_itself(mapper: Mapper[Any], column: Any) -> bool:
    if not isinstance(column, Column) or column.nullable:
        return True
    by_mapper = column is mapper.polymorphic_on or column is mapper.version_id_col
    by_column = column.default is not None or column.server_default is not None
    return by_mapper or by_column or column is column.table.autoincrement_column


def _unique_keys(model: type[Any]) -> Iterator[set[str]]:
    mapper = class_mapper(model)
    mapped = set(mapper.columns.values())
    for table in mapper.tables:
        for columns in _unique_columns(table) if isinstance(table, Table) else ():
            if mapped.issuperset(columns):
                yield {mapper.get_property_by_column(column).key for column in columns} - _given_by_session(model)


def _given_by_session(model: type[Any]) -> set[str]:
    return {TENANT_COLUMN} if is_walled(model) else set()


def _unique_columns(table: Table) -> Iterator[list[Column[Any]]]:
    yield list(table.primary_key)
    yield from (list(found.columns) for found in table.constraints if isinstance(found, UniqueConstraint))
    yield from (list(found.columns) for found in table.indexes if _tells_apart(found))


def _tells_apart(index: Index) -> bool:
    # Unique among the live rows is unique among those that are found.
    whole = SOFT_DELETE in index.info or not has_condition(index)
    return bool(index.unique) and whole and len(index.expressions) == len(index.columns)


def _renewed(mapper: Mapper[Any], changes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields what the columns with an ``onupdate`` get, which ON CONFLICT does not fill."""
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        renewal = column.onupdate if isinstance(column, Column) else None
        if renewal is not None and attribute.key not in changes:
            value: Any = renewal.arg  # type: ignore[attr-defined]  # every onupdate has it but a Sequence
            yield attribute.key, value(None) if renewal.is_callable else value


def _by_column(model: type[Any], row: Mapping[str, Any]) -> dict[Any, Any]:
    return {_column(model, name): value for name, value in row.items()}


def _column(model: type[Any], name: str) -> Any:
    return field(model, name, use=Use.WRITE).property.columns[0]
