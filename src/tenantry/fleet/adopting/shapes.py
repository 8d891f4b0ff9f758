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
    found: dict[str, Shape] = {}
    for schema in schemas:
        standing = set(inspector.get_table_names(schema=schema))
        names = [table.name for table in tables if table.name in standing and table.name not in found]
        if names:
            found |= _read(inspector, names, schema)
    return found


def _read(inspector: Inspector, names: Sequence[str], schema: str | None) -> dict[str, Shape]:
    asked: dict[str, Any] = {"schema": schema, "filter_names": names}
    columns, primary = inspector.get_multi_columns(**asked), inspector.get_multi_pk_constraint(**asked)
    unique, foreign = inspector.get_multi_unique_constraints(**asked), inspector.get_multi_foreign_keys(**asked)
    indexes = inspector.get_multi_indexes(**asked)
    shapes = {}
    for name in names:
        key = (schema, name)
        keys = [*_primary(primary.get(key)), *_uniques(unique.get(key, ())), *_foreign(foreign.get(key, ()))]
        own = {column["name"]: _column(column) for column in columns[key]}
        shapes[name] = Shape(schema or "", name, own, [*keys, *_indexes(indexes.get(key, ()))])
    return shapes


def _column(found: Any) -> ColumnShape:
    filled = any(found.get(key) is not None for key in ("default", "identity", "computed"))
    comment = found.get("comment") or ""
    return ColumnShape(found["name"], str(found["type"]), not found["nullable"], filled, comment)


def _primary(found: Any) -> Iterator[Key]:
    if found and found["constrained_columns"]:
        yield Key(PRIMARY, found["name"] or "", tuple(found["constrained_columns"]))


def _uniques(found: Iterable[Any]) -> Iterator[Key]:
    return (Key(UNIQUE, unique["name"] or "", tuple(unique["column_names"])) for unique in found)


def _foreign(found: Iterable[Any]) -> Iterator[Key]:
    for foreign in found:
        ends = tuple(foreign["constrained_columns"]), foreign["referred_table"], tuple(foreign["referred_columns"])
        yield Key(FOREIGN, foreign["name"] or "", *ends)


def _indexes(found: Iterable[Any]) -> Iterator[Key]:
    for index in found:
        if not index.get("duplicates_constraint"):
            columns = tuple(column or "" for column in index["column_names"])
            yield Key(UNIQUE if index["unique"] else INDEX, index["name"] or "", columns, constraint=False)
