"""Rows for tests, made from what their models say: a test names what it is about, and nothing else."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Table, inspect
from sqlalchemy.orm import Mapper

from tenantry.errors import RowUnknown
from tenantry.models import Ownership, owned_tables
from tenantry.session.core import TenantSession
from tenantry.testing.rows import Known, Side, new_row
from tenantry.testing.ways import mapped_to

M = TypeVar("M")


class Maker:
    """Makes rows in one session: ``make(Ticket, subject="Printer")`` fills the other columns, and makes its parents."""

    def __init__(self, session: TenantSession, known: Known | None = None) -> None:
        self._session = session
        self._known = known or {}
        tenancy = session.info["tenancy"]
        self._models = tenancy.models
        self._walled = set(owned_tables(tenancy.metadata, Ownership.TENANT, Ownership.RECORD))

    def __call__(self, model: type[M], **values: Any) -> M:
        """Adds one row, sends it, and returns it; the session's owner commits.

        Raises: RowUnknown for a column of which nothing tells what it takes.
        """
        made = model(**{**self._made_up(model, values), **values})
        self._session.add(made)
        self._session.flush()
        return made

    def many(self, model: type[M], count: int, **values: Any) -> list[M]:
        """Adds so many rows that differ in what is made up."""
        return [self(model, **values) for _ in range(count)]

    def _made_up(self, model: type[Any], values: dict[str, Any]) -> dict[str, Any]:
        mapper: Mapper[Any] = inspect(model)
        table = mapper.local_table
        if not isinstance(table, Table):
            raise RowUnknown(table=model.__name__, column="*", what="is no table")
        # A mark of its own, so that two rows do not meet in a unique column.
        row = {**new_row(table, Side("", self._session.tenant.id, known=self._known)), **self._parents(table, values)}
        given = {mapper.attrs[name] for name in values if name in mapper.attrs}
        held = {column.name for attribute in given for column in getattr(attribute, "local_columns", ())}
        return {key: row[column.name] for key, column in mapper.columns.items() if _fits(column, row, held)}

    def _parents(self, table: Table, values: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for constraint in table.foreign_key_constraints:
            own = [element for element in constraint.elements if element.parent.name != "tenant_id"]
            needed = own and not any(element.parent.nullable or element.parent.name in values for element in own)
            parent = mapped_to(self._models, constraint.referred_table)
            if needed and parent is not None and constraint.referred_table in self._walled - {table}:
                row = self(parent)
                found |= {each.parent.name: _value_of(row, each.column.name) for each in own}
        return found


def _fits(column: Any, row: dict[str, Any], held: set[str]) -> bool:
    return column.name in row and column.name != "tenant_id" and column.name not in held


def _value_of(row: object, column: str) -> Any:
    mapper: Mapper[Any] = inspect(type(row))
    return getattr(row, mapper.get_property_by_column(mapper.local_table.c[column]).key)
