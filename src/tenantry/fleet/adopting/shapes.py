"""What stands in a database: the tables that the models name, with their columns and keys as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Inspector, Table

# The column that a table gets in stage fill, under a name that no application uses, and a record's own id likewise.
NEW_TENANT: Final = "tenantry_tenant"
NEW_ID: Final = "tenantry_id"
# What a hand-written tenant_id is called once the new column has taken its name.
FORMER: Final = "tenantry_former"
# Comments by which the columns are known again, whatever they are called.
OURS: Final = "tenantry: being adopted"
REPLACED: Final = "tenantry: to be dropped, was "

PRIMARY: Final = "primary key"
UNIQUE: Final = "unique"
FOREIGN: Final = "foreign key"
INDEX: Final = "index"


@dataclass(frozen=True, slots=True)
class Key:
    """A constraint or an index; *columns* are its own, *target* the table a foreign key refers to."""

    kind: str
    name: str
    columns: tuple[str, ...]
    target: str = ""
    target_columns: tuple[str, ...] = ()
    constraint: bool = True


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column as it stands."""

    name: str
    type: str
    required: bool
    filled: bool
    comment: str

    @property
    def ours(self) -> bool:
        """Whether the adoption added it."""
        return self.comment == OURS

    @property
    def former(self) -> str:
        """The name the column had before the tenant's took it, or the one it has."""
        return self.comment.removeprefix(REPLACED) if self.comment.startswith(REPLACED) else self.name


@dataclass(frozen=True, slots=True)
class Shape:
    """One table as it stands, under *schema* (empty where there is none)."""

    schema: str
    name: str
    columns: Mapping[str, ColumnShape]
    keys: Sequence[Key]

    @property
    def then(self) -> dict[str, str]:
        """The application's columns: their names before the adoption, and what they are called now."""
        return {column.former: column.name for column in self.columns.values() if not column.ours}

    @property
    def primary(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return next((key.columns for key in self.keys if key.kind == PRIMARY), ())

    def has_ours(self, name: str) -> bool:
        """Whether the adoption's own column stands under *name*."""
        return name in self.columns and self.columns[name].ours


def read_shapes(inspector: Inspector, tables: Iterable[Table], schemas: Sequence[str | None]) -> dict[str, Shape]:
    """Returns the shape of each of *tables* that stands in one of *schemas*, by its name in the models.

    The first of the schemas that has the table wins.
    """
    standing = {schema: set(inspector.get_table_names(schema=schema)) for schema in schemas}
    found = {}
    for table in tables:
        home = next((schema for schema in schemas if table.name in standing[schema]), _NOWHERE)
        if home != _NOWHERE:
            found[table.name] = _read(inspector, table.name, home)
    return found


_NOWHERE: Final = "\0"


def _read(inspector: Inspector, name: str, schema: str | None) -> Shape:
    columns = {found["name"]: _column(found) for found in inspector.get_columns(name, schema=schema)}
    return Shape(schema or "", name, columns, tuple(_keys(inspector, name, schema)))


def _column(found: Any) -> ColumnShape:
    filled = any(found.get(key) is not None for key in ("default", "identity", "computed"))
    comment = found.get("comment") or ""
    return ColumnShape(found["name"], str(found["type"]), not found["nullable"], filled, comment)


def _keys(inspector: Inspector, name: str, schema: str | None) -> Iterator[Key]:
    primary = inspector.get_pk_constraint(name, schema=schema)
    if primary["constrained_columns"]:
        yield Key(PRIMARY, primary["name"] or "", tuple(primary["constrained_columns"]))
    for unique in inspector.get_unique_constraints(name, schema=schema):
        yield Key(UNIQUE, unique["name"] or "", tuple(unique["column_names"]))
    for foreign in inspector.get_foreign_keys(name, schema=schema):
        ends = tuple(foreign["constrained_columns"]), foreign["referred_table"], tuple(foreign["referred_columns"])
        yield Key(FOREIGN, foreign["name"] or "", *ends)
    for index in inspector.get_indexes(name, schema=schema):
        if not index.get("duplicates_constraint"):
            columns = tuple(column or "" for column in index["column_names"])
            yield Key(UNIQUE if index["unique"] else INDEX, index["name"] or "", columns, constraint=False)
