"""Keys: the tenant column, a row's own id, references to other rows, and tables that link two of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, ForeignKey, MetaData, Table, Uuid
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import MappedColumn, mapped_column

from tenantry.ids import uuid7
from tenantry.models import subjects
from tenantry.models.ownership import MARK, TENANT_COLUMN, Ownership

# In Column.info: the id is ours, so construction may fill it.
OWN_ID: Final = "tenantry_id"


def tenant_column() -> Column[Any]:
    """Returns a new tenant column: a UUID, never null, in the primary key."""
    return Column(TENANT_COLUMN, Uuid(), primary_key=True, nullable=False)


def mapped_tenant_column() -> MappedColumn[Any]:
    """Returns the tenant column for a mapped class; it comes first in the table and in the key."""
    return mapped_column(TENANT_COLUMN, Uuid(), primary_key=True, nullable=False, sort_order=-100)


def id_column() -> Column[Any]:
    """Returns the id that a row gets at construction: a version 7 UUID."""
    return Column("id", Uuid(), primary_key=True, nullable=False, default=uuid7, info={OWN_ID: True})


def record_id_column() -> Column[Any]:
    """Returns the id of a tenant's own record, which is the tenant's id."""
    return Column("id", Uuid(), primary_key=True, nullable=False, default=tenant_of_row)


def tenant_of_row(context: DefaultExecutionContext) -> Any:
    """Returns the tenant of the row being inserted: the id of a record."""
    return context.get_current_parameters()[TENANT_COLUMN]  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare


def inherited_key_columns(parent: Table) -> list[Column[Any]]:
    """Returns the key columns by which a joined-inheritance child refers to its parent's row, the tenant's excepted."""
    return [
        Column(column.name, column.type, ForeignKey(column), primary_key=True)
        for column in parent.primary_key
        if column.name != TENANT_COLUMN
    ]


def references(target: str, *, ondelete: str | None = None, **options: Any) -> MappedColumn[Any]:
    """Returns a column that refers to ``"table.column"`` within the tenant, for a class or for ``tenant_table``.

    Args:
        ondelete: as for ForeignKey; ``"SET NULL"`` never touches the tenant column.
        options: whatever ``mapped_column`` takes.
    """
    return mapped_column(ForeignKey(target, ondelete=ondelete), **options)


def tenant_table(
    name: str,
    metadata: MetaData,
    *columns: MappedColumn[Any] | Column[Any],
    subject: str | Iterable[str] = (),
    **options: Any,
) -> Table:
    """Returns a tenant-owned table of links for ``secondary=``; its references are its primary key.

    A reference without a name is called after its target: ``references("companies.id")`` becomes ``company_id``.
    *subject* names the columns that say whose personal data a row is.
    """
    own = [_link_column(column) for column in columns]
    info = {**options.pop("info", {}), MARK: Ownership.TENANT}
    table = Table(name, metadata, tenant_column(), *own, info=info, **options)
    subjects.declare_columns(table, subject)
    return table


def _link_column(given: MappedColumn[Any] | Column[Any]) -> Column[Any]:
    if isinstance(given, Column):
        return given
    column = given.column
    targets = [key.target_fullname for key in column.foreign_keys]
    if targets:
        column.primary_key, column.nullable = True, False
    if column.name is None and targets:
        column.name = column.key = _link_name(targets[0])
    return column


def _link_name(target: str) -> str:
    *_, table, column = target.split(".")
    return f"{_singular(table)}_{column}"


def _singular(word: str) -> str:
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("tuses", "tus"), ("xes", "x"), ("ss", "ss"), ("s", "")):
        if word.endswith(plural):
            return word.removesuffix(plural) + singular
    return word
