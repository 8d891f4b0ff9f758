"""Lifting: ordinary declarations become tenant-safe keys, as each table is declared and once more on demand."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, ForeignKeyConstraint, MetaData, Table, event

from tenantry.errors import ConfigurationError
from tenantry.models import foreign_keys, indexes, naming, numbering, soft_delete
from tenantry.models.keys import tenant_column
from tenantry.models.ownership import MARK, TENANT_COLUMN, Ownership, is_walled, ownership

# In MetaData.info: keys of tables that refer to tables not declared yet.
WAITING: Final = "tenantry_waiting"


def lift(metadata: MetaData) -> None:
    """Makes every key, unique constraint, index and reference of the owned tables begin with the tenant; idempotent.

    Tables are lifted as they are declared; call this after changing one by hand.
    """
    for table in list(metadata.tables.values()):
        lift_table(table)
    _lift_waiting(metadata)


def lift_table(table: Table) -> None:
    """Lifts one table, as far as the tables that it refers to are known."""
    if ownership(table) is None:
        _adopt_links(table)
    if ownership(table) is None:
        return
    if is_walled(table) and TENANT_COLUMN in table.c:
        indexes.lift_primary_key(table)
        indexes.lift_unique_constraints(table)
        indexes.lift_indexes(table)
        soft_delete.narrow_uniqueness(table)
        numbering.number_rows(table)
    if not foreign_keys.lift_foreign_keys(table):
        _waiting(table.metadata).add(table.key)
    naming.name_constraints(table)


def looks_like_links(table: Table) -> bool:
    """Returns whether *table* only links others: its key, or the whole of it, is made of foreign keys."""
    key = list(table.primary_key) or list(table.columns)
    return bool(key) and all(column.foreign_keys for column in key)


def _adopt_links(table: Table) -> None:
    """Walls an association table whose foreign keys all lead to walled tables."""
    if not looks_like_links(table):
        return
    targets = [foreign_keys.target_table(constraint) for constraint in table.foreign_key_constraints]
    if any(target is None for target in targets):
        _waiting(table.metadata).add(table.key)
    elif all(target is not None and is_walled(target) for target in targets):
        _wall_links(table)


def _wall_links(table: Table) -> None:
    key: list[Column[object]] = list(table.primary_key) or list(table.columns)
    table.info[MARK] = Ownership.TENANT
    if TENANT_COLUMN not in table.c:
        table.append_column(tenant_column())
    rest = [column for column in key if column.name != TENANT_COLUMN]
    for column in rest:
        column.primary_key, column.nullable = True, False
    indexes.set_primary_key(table, rest)


def _waiting(metadata: MetaData) -> set[str]:
    waiting: set[str] = metadata.info.setdefault(WAITING, set())
    return waiting


def _lift_waiting(metadata: MetaData) -> None:
    waiting = _waiting(metadata)
    keys = sorted(waiting & metadata.tables.keys())
    waiting.clear()
    for key in keys:
        lift_table(metadata.tables[key])


@event.listens_for(Table, "after_parent_attach")
def _lift_declared(table: Table, metadata: MetaData) -> None:
    lift_table(table)
    if WAITING in metadata.info:
        _lift_waiting(metadata)


@event.listens_for(MetaData, "before_create")
def _lift_late_declarations(metadata: MetaData, _connection: Connection, **_options: object) -> None:
    before = _foreign_keys(metadata)
    lift(metadata)
    if _foreign_keys(metadata) != before:
        # SQLAlchemy has chosen the constraints to create by now, and would silently leave the lifted ones out.
        raise ConfigurationError(
            what="A foreign key was added to a table after its declaration, so nothing was created.",
            fix="Call tenantry.models.lift(metadata) before create_all().",
        )


def _foreign_keys(metadata: MetaData) -> set[ForeignKeyConstraint]:
    return {
        constraint
        for table in metadata.tables.values()
        if ownership(table) is not None
        for constraint in table.foreign_key_constraints
    }
