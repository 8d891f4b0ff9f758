"""What a tenant's tables look like to an archive, whichever database holds them: names, kinds of columns, keys."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import sqltypes
from sqlalchemy.types import TypeDecorator, TypeEngine

from tenantry.models import TENANT_COLUMN, Ownership, owned_tables, ownership
from tenantry.types import Finding

POSTGRESQL: Final = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare
SQLITE: Final = SQLiteDialect()

# Digits up to which FLOAT(p) is a float of four bytes (PostgreSQL, numeric types).
_SINGLE: Final = 24


class Kind(enum.StrEnum):
    """What a column holds, and so how its values are written."""

    UUID = "uuid"
    INTEGER = "integer"
    NUMERIC = "numeric"
    FLOAT = "float"
    SINGLE = "single"
    BOOLEAN = "boolean"
    TEXT = "text"
    PADDED = "padded"
    BYTES = "bytes"
    TIMESTAMP = "timestamp"
    LOCAL_TIMESTAMP = "local_timestamp"
    DATE = "date"
    TIME = "time"
    INTERVAL = "interval"
    JSON = "json"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column: *scale* is that of a numeric, *of_tenant* says that the value is the tenant's own id."""

    name: str
    kind: Kind
    scale: int | None = None
    of_tenant: bool = False

    def to_json(self) -> dict[str, Any]:
        """Returns the column as JSON keeps it."""
        return {"name": self.name, "kind": self.kind.value, "scale": self.scale, "of_tenant": self.of_tenant}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ColumnShape:
        """Returns the column that ``to_json`` wrote.

        Raises: ValueError for anything else.
        """
        name, kind, scale, of_tenant = _members(document, "name", "kind", "scale", "of_tenant")
        right = isinstance(name, str) and isinstance(of_tenant, bool) and (scale is None or type(scale) is int)
        if not right or kind not in tuple(Kind):
            raise ValueError("this is no column of an archive")
        return cls(name, Kind(kind), scale, of_tenant)


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table without its tenant column and without what the database computes; *key* orders its rows."""

    name: str
    columns: tuple[ColumnShape, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(column.name for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """Returns the table as JSON keeps it."""
        return {"name": self.name, "columns": [column.to_json() for column in self.columns], "key": list(self.key)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TableShape:
        """Returns the table that ``to_json`` wrote.

        Raises: ValueError for anything else.
        """
        name, columns, key = _members(document, "name", "columns", "key")
        if not isinstance(name, str) or not isinstance(columns, list) or not isinstance(key, list):
            raise ValueError("this is no table of an archive")
        shape = cls(name, tuple(map(ColumnShape.from_json, columns)), tuple(key))
        if len(set(shape.names)) < len(columns) or not set(key) <= set(shape.names) or TENANT_COLUMN in shape.names:
            raise ValueError(f"the columns of {name} contradict each other")
        return shape


@dataclass(frozen=True, slots=True)
class TableDigest:
    """What a table holds of one tenant: how many rows, how many bytes they are written in, and their SHA-256."""

    rows: int
    size: int
    sha256: str


def shapes(metadata: MetaData) -> tuple[TableShape, ...]:
    """Returns the shape of every walled table, those that others refer to first."""
    return tuple(map(shape_of, owned_tables(metadata, Ownership.TENANT, Ownership.RECORD)))


def shape_of(table: Table) -> TableShape:
    """Returns the shape of one walled table."""
    stored = [column for column in table.columns if column.name != TENANT_COLUMN and column.computed is None]
    key = tuple(column.name for column in table.primary_key if column.name != TENANT_COLUMN)
    return TableShape(table.name, tuple(map(_column_shape, stored)), key)


def uncrossable(metadata: MetaData) -> list[Finding]:
    """Returns a finding for each column whose values cannot be carried between PostgreSQL and SQLite."""
    tables = owned_tables(metadata, Ownership.TENANT, Ownership.RECORD)
    return [
        Finding(
            "R001",
            f"{table.name}.{column.name}",
            f"{column.type!r} has no text that PostgreSQL and SQLite both write.",
            "Keep the tenant on the kind of database where it is, or declare a type that both have.",
        )
        for table in tables
        for column in table.columns
        if column.computed is None and not crosses(column)
    ]


def crosses(column: Column[Any]) -> bool:
    """Whether values of *column* can be carried between PostgreSQL and SQLite."""
    kind = kind_of(column.type, POSTGRESQL)[0]
    return kind is not Kind.OTHER and (kind is kind_of(column.type, SQLITE)[0] or kind in TRANSLATED)


# Kinds whose values a type may keep differently on the two databases: they are translated by the type itself.
TRANSLATED: Final = frozenset({Kind.NUMERIC, Kind.INTEGER, Kind.TEXT, Kind.UUID})


def kind_of(declared: TypeEngine[Any], dialect: Dialect) -> tuple[Kind, int | None]:
    """Returns what a column of this type holds on one kind of database, and the scale of a numeric."""
    found = declared.dialect_impl(dialect)
    # On SQLite an Interval is a decorator too, around the moment that it keeps.
    while isinstance(found, TypeDecorator) and not isinstance(found, sqltypes.Interval):
        found = found.impl_instance
    if isinstance(found, sqltypes.Uuid):
        # What is no UUID to PostgreSQL stands in both databases as the same 32 letters.
        return (Kind.UUID if found.native_uuid else Kind.TEXT), None
    if isinstance(found, sqltypes.Float):
        single = isinstance(found, sqltypes.REAL) or 0 < (found.precision or 0) <= _SINGLE
        return (Kind.SINGLE if single else Kind.FLOAT), None
    if isinstance(found, sqltypes.Numeric):
        return Kind.NUMERIC, found.scale if found.precision is None or found.scale is not None else 0
    if isinstance(found, sqltypes.DateTime):
        return (Kind.TIMESTAMP if found.timezone else Kind.LOCAL_TIMESTAMP), None
    if isinstance(found, sqltypes.Time):
        return (Kind.OTHER if found.timezone else Kind.TIME), None
    return next((kind for type_, kind in _KINDS if isinstance(found, type_)), Kind.OTHER), None


_KINDS: Final[tuple[tuple[type[TypeEngine[Any]] | tuple[type[TypeEngine[Any]], ...], Kind], ...]] = (
    (sqltypes.Boolean, Kind.BOOLEAN),
    (sqltypes.Integer, Kind.INTEGER),
    (sqltypes._AbstractInterval, Kind.INTERVAL),
    (sqltypes._Binary, Kind.BYTES),
    (sqltypes.Date, Kind.DATE),
    (sqltypes.JSON, Kind.JSON),
    (sqltypes.Enum, Kind.TEXT),
    (sqltypes.CHAR, Kind.PADDED),
    (sqltypes.String, Kind.TEXT),
)


def _column_shape(column: Column[Any]) -> ColumnShape:
    kind, scale = kind_of(column.type, POSTGRESQL)
    return ColumnShape(column.name, kind, scale, _is_of_tenant(column))


def _is_of_tenant(column: Column[Any], *seen: Column[Any]) -> bool:
    """Whether a column can only hold the tenant's own id: a record's id, and what refers to it."""
    if column.name == "id" and ownership(column.table) is Ownership.RECORD:
        return True
    referred = [key.column for key in column.foreign_keys if key.column not in (column, *seen)]
    return any(_is_of_tenant(other, column, *seen) for other in referred)


def _members(document: Mapping[str, Any], *names: str) -> list[Any]:
    if not isinstance(document, Mapping) or set(document) != set(names):
        raise ValueError(f"this document has other members than {', '.join(names)}")
    return [document[name] for name in names]
