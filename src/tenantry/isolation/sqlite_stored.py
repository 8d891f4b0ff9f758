"""What common tables look like in an SQLite file: stored under another name, their references kept by triggers.

A walled table ``tickets`` is stored as ``tickets__rows``; the plain name is left for the view that a walled connection
makes (``sqlite_wall``). Shared tables keep their names, platform tables are not in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Column, ForeignKeyConstraint, Index, MetaData, Table
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler, SQLiteDialect, SQLiteIdentifierPreparer
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.sql.expression import FromClause

from tenantry.models.append_only import append_only_triggers, is_append_only
from tenantry.models.foreign_keys import is_lifted, own_elements
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
    return [
        *(statement for table in tables for statement in table_ddl(table)),
        *(statement for table in tables for statement in reference_triggers(table)),
        *(statement for table in filter(is_append_only, tables) for statement in stored_append_only(table.name)),
    ]


def stored_append_only(name: str) -> list[str]:
    """Returns the statements that keep the stored rows of a walled table as they are."""
    return append_only_triggers(name, stored=lambda plain: plain + STORED_SUFFIX)


def table_ddl(table: Table) -> list[str]:
    """Returns the statements that make one stored table and its indexes, without its triggers."""
    indexes = sorted(filter(_is_for_sqlite, table.indexes), key=lambda index: str(index.name))
    elements: list[ExecutableDDLElement] = [CreateTable(table), *(CreateIndex(index) for index in indexes)]
    return [str(element.compile(dialect=_DIALECT)).strip() for element in elements]


def reference_triggers(table: Table) -> list[str]:
    """Returns triggers that do what the foreign keys of *table* ask for when the row they point at goes or moves.

    SQLite reports its own foreign-key actions to an authorizer exactly as it reports a statement of the user's on the
    stored table, so a wall could not let the one through and stop the other. A trigger has a name.
    """
    constraints = sorted(table.foreign_key_constraints, key=lambda constraint: list(constraint.column_keys))
    return [trigger for constraint in constraints if is_lifted(constraint) for trigger in _triggers_of(constraint)]


def _triggers_of(constraint: ForeignKeyConstraint) -> Iterator[str]:
    parent, child = quote(stored_name(constraint.referred_table)), quote(stored_name(constraint.table))
    pairs = [(quote(element.parent.name), quote(element.column.name)) for element in constraint.elements]
    pointing = " AND ".join(f"{own} = OLD.{referred}" for own, referred in pairs)
    own_pairs = [(quote(element.parent.name), quote(element.column.name)) for element in own_elements(constraint)]
    if _acts(constraint.ondelete, "CASCADE"):
        yield _trigger(constraint, "delete", f"DELETE ON {parent}", f"DELETE FROM {child} WHERE {pointing}")
    if _acts(constraint.ondelete, "SET NULL"):
        cleared = ", ".join(f"{own} = NULL" for own, _ in own_pairs)
        yield _trigger(constraint, "delete", f"DELETE ON {parent}", f"UPDATE {child} SET {cleared} WHERE {pointing}")
    if _acts(constraint.onupdate, "CASCADE"):
        moved = " OR ".join(f"NEW.{referred} IS NOT OLD.{referred}" for _, referred in own_pairs)
        followed = ", ".join(f"{own} = NEW.{referred}" for own, referred in own_pairs)
        event = f"UPDATE OF {', '.join(referred for _, referred in own_pairs)} ON {parent} WHEN {moved}"
        yield _trigger(constraint, "update", event, f"UPDATE {child} SET {followed} WHERE {pointing}")


def _trigger(constraint: ForeignKeyConstraint, moment: str, event: str, body: str) -> str:
    columns = [element.parent.name for element in own_elements(constraint)]
    name = "_".join([TRIGGER_PREFIX + constraint.table.name, *columns, moment])
    return f"CREATE TRIGGER {quote(name)} AFTER {event} BEGIN {body}; END"


def _acts(phrase: str | None, action: str) -> bool:
    return " ".join((phrase or "").upper().split()).startswith(action)


def default_of(column: Column[object]) -> str | None:
    """Returns the SQL of a column's server default, or None."""
    if column.computed is not None or column.identity is not None:
        return None
    compiler = _Compiler(_DIALECT, None)  # type: ignore[arg-type]  # SQLAlchemy makes one so where it needs no element
    return compiler.get_column_default_string(column)


def quote(name: str) -> str:
    """Returns *name* as an identifier, whatever stands in it."""
    # Not double quotes: SQLite takes what they hold for a string where no column has the name.
    return "`" + name.replace("`", "``") + "`"


class _Preparer(SQLiteIdentifierPreparer):
    """Writes every table by its stored name and without a schema."""

    schema_for_object = staticmethod(lambda _: "")

    def format_table(self, table: FromClause, use_schema: bool = True, name: str | None = None) -> str:
        if name is None and isinstance(table, Table):
            name = stored_name(table)
        return super().format_table(table, use_schema, name)


class _Compiler(SQLiteDDLCompiler):
    """Leaves out the foreign-key actions that triggers do, and puts the tenant first in every index."""

    def visit_foreign_key_constraint(self, constraint: ForeignKeyConstraint, **options: object) -> str:
        # SQLite's own compiler drops a key to another schema; here both tables stand in one file.
        return DDLCompiler.visit_foreign_key_constraint(self, constraint, **options)

    def define_constraint_cascades(self, constraint: ForeignKeyConstraint) -> str:
        return "" if is_lifted(constraint) else super().define_constraint_cascades(constraint)

    def visit_create_index(self, create: CreateIndex, *arguments: Any, **options: Any) -> str:
        text: str = super().visit_create_index(create, *arguments, **options)  # type: ignore[no-untyped-call]  # bare
        table = create.element.table
        if table is None or not is_walled(table) or _begins_with_tenant(create.element):
            return text
        # Through an index without the tenant in front SQLite judges a condition of the user's on rows of others.
        name = self.preparer.format_table(table)
        return text.replace(f" ON {name} (", f" ON {name} ({quote(TENANT_COLUMN)}, ", 1)


def _is_for_sqlite(index: Index) -> bool:
    # Those of PostgreSQL's own kinds are declared with ddl_if(dialect="postgresql").
    condition = index._ddl_if
    return condition is None or condition.dialect is None or _DIALECT.name in condition.dialect


def _begins_with_tenant(index: Index) -> bool:
    first = next(iter(index.expressions))
    return isinstance(first, Column) and first.name == TENANT_COLUMN


class _Dialect(SQLiteDialect):
    preparer = _Preparer
    ddl_compiler = _Compiler


_DIALECT: Final = _Dialect()
