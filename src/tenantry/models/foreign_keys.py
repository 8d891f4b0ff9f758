"""Foreign keys: lifted so that a row refers only to rows of its own tenant."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import DDL, Connection, ForeignKey, ForeignKeyConstraint, MetaData, Table, event, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler

from tenantry.models.ownership import SHARED_SCHEMA, TENANT_COLUMN, is_walled, owned_tables

# The wall of SQLite's common tables lets triggers of this name write.
SET_NULL_TRIGGER: Final = "tenantry_set_null_"
SET_COLUMNS_NULL: Final = re.compile(r"\s*SET\s+NULL\s*\(.+\)\s*", re.IGNORECASE)


def lift_foreign_keys(table: Table) -> bool:
    """Gives each foreign key of *table* the shape that its target asks for; returns whether all targets are known."""
    # Sorted, since SQLAlchemy keeps them in a set and the same models must always give the same DDL.
    keys = sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys))
    known = [_lift(table, key) for key in keys]
    return all(known)


def is_lifted(constraint: ForeignKeyConstraint) -> bool:
    """Returns whether *constraint* compares the tenant too."""
    return tenant_element(constraint) is not None


def tenant_element(constraint: ForeignKeyConstraint) -> ForeignKey | None:
    """Returns the part of *constraint* that compares the tenant."""
    found = (element for element in constraint.elements if element.parent.name == TENANT_COLUMN)
    return next((element for element in found if element.target_fullname.endswith(f".{TENANT_COLUMN}")), None)


def own_elements(constraint: ForeignKeyConstraint) -> list[ForeignKey]:
    """Returns the parts of *constraint* that compare anything but the tenant."""
    tenant = tenant_element(constraint)
    return [element for element in constraint.elements if element is not tenant]


def target_table(constraint: ForeignKeyConstraint) -> Table | None:
    """Returns the table that *constraint* refers to; a plain name may mean a shared table.

    None if no such table is known (yet).
    """
    tables = constraint.table.metadata.tables
    named = constraint.elements[0].target_fullname.rpartition(".")[0]
    schemas = (None, constraint.table.metadata.schema, SHARED_SCHEMA)
    keys = (named if schema is None else f"{schema}.{named}" for schema in schemas)
    return next((tables[key] for key in keys if key in tables), None)


def sqlite_triggers(table: Table, *, stored: Callable[[str], str] = str) -> list[str]:
    """Returns the statements that do on SQLite what ``ON DELETE SET NULL`` of *table*'s lifted keys does elsewhere.

    They run once every table stands. *stored* gives the name under which a table is stored.
    """
    return [_set_null_trigger(constraint, stored) for constraint in nulling_keys(table)]


def nulling_keys(table: Table) -> list[ForeignKeyConstraint]:
    """Returns the lifted keys of *table* that null their own columns when the row referred to goes."""
    found = [key for key in table.foreign_key_constraints if SET_COLUMNS_NULL.fullmatch(key.ondelete or "")]
    return sorted(filter(is_lifted, found), key=lambda key: list(key.column_keys))


def detach(table: Table, constraint: ForeignKeyConstraint) -> None:
    """Takes *constraint* off *table*, as if it had never been declared."""
    table.constraints.discard(constraint)
    for element in constraint.elements:
        table.foreign_keys.discard(element)
        element.parent.foreign_keys.discard(element)


def _lift(table: Table, constraint: ForeignKeyConstraint) -> bool:
    target = target_table(constraint)
    if target is None:
        return False
    if is_walled(table) and is_walled(target):
        # A key that uses the tenant column for something else is left for the linter.
        plain = TENANT_COLUMN not in constraint.column_keys
        if plain and TENANT_COLUMN in table.c and TENANT_COLUMN in target.c:
            replaced_key(table, constraint, target, with_tenant=True)
    elif target.schema == SHARED_SCHEMA and _names_plainly(constraint, target):
        replaced_key(table, constraint, target, with_tenant=False)
    return True


def _names_plainly(constraint: ForeignKeyConstraint, target: Table) -> bool:
    return any(element.target_fullname.rpartition(".")[0] != target.key for element in constraint.elements)


def replaced_key(
    table: Table, constraint: ForeignKeyConstraint, target: Table, *, with_tenant: bool
) -> ForeignKeyConstraint:
    """Puts a key to *target* in the place of *constraint* on *table* and returns it; the tenant's columns stand there.

    Args:
        with_tenant: whether the key compares the tenant too.
    """
    tenant = [TENANT_COLUMN] if with_tenant else []
    own = [element.parent.key for element in constraint.elements]
    referred = [element.target_fullname.rpartition(".")[2] for element in constraint.elements]
    ondelete = _set_null_of(constraint) if with_tenant else constraint.ondelete
    detach(table, constraint)
    lifted = ForeignKeyConstraint(
        [*tenant, *own],
        [f"{target.key}.{column}" for column in [*tenant, *referred]],
        name=constraint.name,
        onupdate=constraint.onupdate,
        ondelete=ondelete,
        deferrable=constraint.deferrable,
        initially=constraint.initially,
        use_alter=constraint.use_alter,
        match=constraint.match,
        info=constraint.info,
        comment=constraint.comment,
        **constraint.dialect_kwargs,
    )
    table.append_constraint(lifted)
    return lifted


def _set_null_of(constraint: ForeignKeyConstraint) -> str | None:
    """A plain SET NULL would null the tenant too; PostgreSQL 15 takes a list of columns."""
    if (constraint.ondelete or "").strip().upper() != "SET NULL":
        return constraint.ondelete
    quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    return f"SET NULL ({', '.join(quote(element.parent.name) for element in constraint.elements)})"


@compiles(ForeignKeyConstraint, "sqlite")
def _without_column_list(constraint: ForeignKeyConstraint, compiler: DDLCompiler, **options: Any) -> Any:
    # SQLite knows no column list: the key says NO ACTION there, and a trigger does the rest.
    if SET_COLUMNS_NULL.fullmatch(constraint.ondelete or ""):
        constraint = copy.copy(constraint)
        constraint.ondelete = None
    return compiler.visit_foreign_key_constraint(constraint, **options)


def _set_null_trigger(constraint: ForeignKeyConstraint, stored: Callable[[str], str]) -> str:
    table, target = constraint.table, constraint.referred_table
    nulled = ", ".join(f"{_quoted(element.parent.name)} = NULL" for element in own_elements(constraint))
    pairs = [(_quoted(element.parent.name), _quoted(element.column.name)) for element in constraint.elements]
    same = " AND ".join(f"{own} = OLD.{referred}" for own, referred in pairs)
    body = f"UPDATE {_quoted(stored(table.name))} SET {nulled} WHERE {same}"
    moment = f"BEFORE DELETE ON {_quoted(stored(target.name))}"
    return f"CREATE TRIGGER IF NOT EXISTS {_trigger_name(constraint, stored)} {moment} BEGIN {body}; END"


def _trigger_name(constraint: ForeignKeyConstraint, stored: Callable[[str], str] = str) -> str:
    own = "_".join(element.parent.name for element in own_elements(constraint))
    return _quoted(f"{SET_NULL_TRIGGER}{stored(constraint.table.name)}_{own}")


def _quoted(name: str) -> str:
    return sqlite.dialect().identifier_preparer.quote(name)


def _verbatim(statement: str) -> DDL:
    return DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare


@event.listens_for(MetaData, "after_create")
def _create_triggers(metadata: MetaData, connection: Connection, *, tables: Sequence[Table], **_options: Any) -> None:
    if connection.dialect.name != "sqlite" or not any(is_walled(table) for table in tables):
        return
    # A mock engine, which only records statements, knows no tables but those just created.
    real = isinstance(connection, Connection)
    standing = set(inspect(connection).get_table_names()) if real else {table.name for table in tables}
    for key in (key for table in owned_tables(metadata) for key in nulling_keys(table)):
        ends = {key.table, key.referred_table}
        if ends & set(tables) and {table.name for table in ends} <= standing:
            connection.execute(_verbatim(_set_null_trigger(key, str)))


@event.listens_for(Table, "after_create")
def _create_triggers_of_one(table: Table, connection: Connection, **options: Any) -> None:
    if not options.get("_is_metadata_operation"):
        _create_triggers(table.metadata, connection, tables=[table])


@event.listens_for(Table, "before_drop")
def _drop_triggers(table: Table, connection: Connection, **_options: Any) -> None:
    if connection.dialect.name != "sqlite" or not is_walled(table):
        return
    for key in nulling_keys(table):
        connection.execute(_verbatim(f"DROP TRIGGER IF EXISTS {_trigger_name(key)}"))
