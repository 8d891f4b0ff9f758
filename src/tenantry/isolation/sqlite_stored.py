"""What common tables look like in an SQLite file: stored under another name, their references kept by triggers.

A walled table ``tickets`` is stored as ``tickets__rows``; the plain name is left for the view that a walled connection
makes (``sqlite_wall``). Shared tables keep their names, platform tables are not in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler, SQLiteDialect, SQLiteIdentifierPreparer
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.sql.expression import FromClause

from tenantry.models.ownership import TENANT_COLUMN, Ownership, is_walled, ownership

STORED_SUFFIX: Final = "__rows"
TRIGGER_PREFIX: Final = "tenantry_wall_"


def walled_tables(metadata: MetaData) -> list[Table]:
    """Returns the tables whose rows belong to tenants."""
    return [table for table in metadata.tables.values() if is_walled(table)]


def shared_tables(metadata: MetaData) -> list[Table]:
    """Returns the tables that every tenant reads and none writes."""
    return [table for table in metadata.tables.values() if ownership(table) is Ownership.SHARED]


def stored_name(table: Table) -> str:
    """Returns the name under which the rows of *table* stand in the file."""
    return table.name + STORED_SUFFIX if is_walled(table) else table.name


def stored_ddl(metadata: MetaData) -> list[str]:
    """Returns the statements that make every walled and shared table of *metadata* in an empty file."""
    tables = shared_tables(metadata) + walled_tables(metadata)
    return [statement for table in tables for statement in table_ddl(table)] + [
        statement for table in tables for statement in reference_triggers(table)
    ]


def table_ddl(table: Table) -> list[str]:
    """Returns the statements that make one stored table and its indexes, without its triggers."""
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    elements: list[ExecutableDDLElement] = [CreateTable(table), *(CreateIndex(index) for index in indexes)]
    return [str(element.compile(dialect=_DIALECT)).strip() for element in elements]


def reference_triggers(table: Table) -> list[str]:
    """Returns triggers that do what the foreign keys of *table* ask for when the row they point at goes or moves.

    SQLite reports its own foreign-key actions to an authorizer exactly as it reports a statement of the user's on the
    stored table, so a wall could not let the one through and stop the other. A trigger has a name.
    """
    constraints = sorted(table.foreign_key_constraints, key=lambda constraint: list(constraint.column_keys))
    return [trigger for constraint in constraints for trigger in _triggers_of(constraint)]


def _triggers_of(constraint: ForeignKeyConstraint) -> Iterator[str]:
    if not _replaced(constraint):
        return
    parent = quote(stored_name(constraint.referred_table))
    deleting, updating = _action(constraint.ondelete), _action(constraint.onupdate)
    if deleting:
        change = "DELETE FROM" if deleting == "CASCADE" else "UPDATE"
        assignments = "" if deleting == "CASCADE" else f" SET {_cleared(constraint, deleting, constraint.ondelete)}"
        yield (
            f"CREATE TRIGGER {_trigger_name(constraint, 'delete')} AFTER DELETE ON {parent} BEGIN "
            f"{change} {_child(constraint)}{assignments} WHERE {_pointing(constraint)}; END"
        )
    if updating:
        moved = updating == "CASCADE"
        assignments = _followed(constraint) if moved else _cleared(constraint, updating, constraint.onupdate)
        keys = [element.column.name for element in constraint.elements]
        yield (
            f"CREATE TRIGGER {_trigger_name(constraint, 'update')} AFTER UPDATE OF {_listed(keys)} ON {parent} "
            f"WHEN {' OR '.join(f'NEW.{quote(key)} IS NOT OLD.{quote(key)}' for key in keys)} BEGIN "
            f"UPDATE {_child(constraint)} SET {assignments} WHERE {_pointing(constraint)}; END"
        )


def _replaced(constraint: ForeignKeyConstraint) -> bool:
    return is_walled(constraint.referred_table)


def _action(phrase: str | None) -> str | None:
    """Returns CASCADE, SET NULL or SET DEFAULT, or None where a plain check is all that was asked."""
    words = " ".join((phrase or "").partition("(")[0].upper().split())
    return words if words in ("CASCADE", "SET NULL", "SET DEFAULT") else None


def _trigger_name(constraint: ForeignKeyConstraint, happening: str) -> str:
    return quote("_".join([TRIGGER_PREFIX + constraint.table.name, *constraint.column_keys, happening]))


def _child(constraint: ForeignKeyConstraint) -> str:
    return quote(stored_name(constraint.table))


def _pointing(constraint: ForeignKeyConstraint) -> str:
    return " AND ".join(
        f"{quote(element.parent.name)} = OLD.{quote(element.column.name)}" for element in constraint.elements
    )


def _followed(constraint: ForeignKeyConstraint) -> str:
    return ", ".join(
        f"{quote(element.parent.name)} = NEW.{quote(element.column.name)}"
        for element in constraint.elements
        if element.parent.name != TENANT_COLUMN
    )


def _cleared(constraint: ForeignKeyConstraint, action: str, phrase: str | None) -> str:
    """Returns the assignments that let go of the parent; the tenant of a row never changes."""
    named = {name.strip(' "') for name in (phrase or "").partition("(")[2].rstrip(") ").split(",") if name.strip()}
    own = [element.parent for element in constraint.elements if element.parent.name != TENANT_COLUMN]
    columns = [column for column in own if not named or column.name in named]
    return ", ".join(
        f"{quote(column.name)} = {default_of(column) or 'NULL' if action == 'SET DEFAULT' else 'NULL'}"
        for column in columns
    )


def default_of(column: Column[object]) -> str | None:
    """Returns the SQL of a column's server default, or None."""
    if column.computed is not None or column.identity is not None:
        return None
    compiler = _Compiler(_DIALECT, None)  # type: ignore[arg-type]  # SQLAlchemy makes one so where it needs no element
    return compiler.get_column_default_string(column)


def _listed(names: list[str]) -> str:
    return ", ".join(map(quote, names))


def quote(name: str) -> str:
    """Returns *name* as an identifier that no reserved word can be mistaken for."""
    return '"' + name.replace('"', '""') + '"'


class _Preparer(SQLiteIdentifierPreparer):
    """Writes every table by its stored name and without a schema."""

    schema_for_object = staticmethod(lambda _: "")

    def format_table(self, table: FromClause, use_schema: bool = True, name: str | None = None) -> str:
        if name is None and isinstance(table, Table):
            name = stored_name(table)
        return super().format_table(table, use_schema, name)


class _Compiler(SQLiteDDLCompiler):
    """Leaves out the foreign-key actions that triggers do, and nothing else."""

    def visit_foreign_key_constraint(self, constraint: ForeignKeyConstraint, **options: object) -> str:
        # SQLite's own compiler drops a key to another schema; here both tables stand in one file.
        return DDLCompiler.visit_foreign_key_constraint(self, constraint, **options)

    def define_constraint_cascades(self, constraint: ForeignKeyConstraint) -> str:
        if not _replaced(constraint):
            return super().define_constraint_cascades(constraint)
        clauses = {"ON DELETE": constraint.ondelete, "ON UPDATE": constraint.onupdate}
        return "".join(f" {clause} {phrase}" for clause, phrase in clauses.items() if phrase and not _action(phrase))


class _Dialect(SQLiteDialect):
    preparer = _Preparer
    ddl_compiler = _Compiler


_DIALECT: Final = _Dialect()
