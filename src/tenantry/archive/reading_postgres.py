"""A tenant's rows read from PostgreSQL: COPY writes the canonical text itself, so that rows come at COPY's speed."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from tenantry.archive.copying import copied
from tenantry.archive.places_base import CHUNK, Key, Reader
from tenantry.archive.refusing import reading_refused
from tenantry.archive.shapes import ColumnShape, Kind, TableShape
from tenantry.archive.standing import StandingTable
from tenantry.isolation.wall import quote
from tenantry.models import TENANT_COLUMN
from tenantry.types import Tenant

try:
    from psycopg import sql
except ImportError:  # then nobody has a connection to give
    sql = None  # type: ignore[assignment]

_KEYS_AT_ONCE: Final = 5000
_TEXTS: Final = (Kind.TEXT, Kind.PADDED)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where rows stand on PostgreSQL, and how its catalog says they look."""

    connection: Connection
    schema: str
    standing: dict[str, StandingTable]

    def cursor(self) -> Any:
        """Returns a psycopg cursor of the transaction."""
        return self.connection.connection.cursor()

    def name(self, table: str) -> str:
        """Returns a table's name with its schema: what a search path finds is not asked."""
        return f"{quote(self.schema)}.{quote(table)}"


class PostgresReader(Reader):
    """A tenant's rows in one transaction on PostgreSQL."""

    def __init__(self, ground: Ground, tenant: Tenant, tables: Sequence[TableShape], *, spelled: uuid.UUID) -> None:
        super().__init__(tenant, tables, spelled=spelled)
        self.ground = ground
        self.connection = ground.connection

    def _rows(self, shape: TableShape) -> Generator[bytes]:
        order = [self._ordering(shape, name) for name in shape.key or shape.names]
        tail = f" ORDER BY {', '.join(order)}" if order else ""
        yield from self._copied(shape, f"{self._selected(shape)}{tail}")

    def _rows_of(self, shape: TableShape, keys: Iterable[Key]) -> Generator[bytes]:
        named = list(keys)
        for start in range(0, len(named), _KEYS_AT_ONCE):
            among = self.among(shape, named[start : start + _KEYS_AT_ONCE])
            yield from self._copied(shape, f"{self._selected(shape)} AND {among}")

    def among(self, shape: TableShape, keys: Sequence[Key]) -> str:
        """Returns the condition that a row's key is one of *keys*."""
        # What can only be the tenant's own id tells no rows apart, and may be spelled in two ways.
        own = [(place, name) for place, name in enumerate(shape.key) if not self._column(shape, name).of_tenant]
        if not own:
            return "true" if keys else "false"
        texts = ", ".join(f"{self._literal([key[place] for key in keys])}::text[]" for place, _ in own)
        casts = ", ".join(f"k{place}::{self._standing(shape, name).cast}" for place, name in own)
        aliases = ", ".join(f"k{place}" for place, _ in own)
        names = ", ".join(quote(name) for _, name in own)
        return f"({names}) IN (SELECT {casts} FROM unnest({texts}) AS named({aliases}))"

    def _literal(self, texts: list[str]) -> str:
        return sql.Literal(texts).as_string(self.connection.connection.driver_connection)

    def _selected(self, shape: TableShape) -> str:
        columns = ", ".join(self._written(shape, column) for column in shape.columns)
        return f"SELECT {columns} FROM {self.ground.name(shape.name)} WHERE {self.own}"

    @property
    def own(self) -> str:
        """The condition that a row is the tenant's."""
        return f"{TENANT_COLUMN} = '{self.tenant.id}'"

    def _written(self, shape: TableShape, column: ColumnShape) -> str:
        """Returns the expression whose COPY text is canonical."""
        name, standing = quote(column.name), self._standing(shape, column.name)
        if column.of_tenant and self.spelled != self.tenant.id:
            return f"CASE WHEN {name} = '{self.tenant.id}' THEN '{self.spelled}' ELSE {name} END"
        if standing.type in ("float4", "float8"):
            # SQLite keeps no sign of nought.
            return f"{name} + 0::{standing.type}"
        if standing.type in ("json", "bpchar"):
            return f"{name}::{'jsonb' if standing.type == 'json' else 'text'}"
        if standing.kind is Kind.NUMERIC and standing.scale is None:
            return f"trim_scale({name})" if column.scale is None else f"round({name}, {column.scale})"
        return name

    def _ordering(self, shape: TableShape, name: str) -> str:
        texts = self._standing(shape, name).kind in (*_TEXTS, Kind.OTHER, Kind.JSON)
        return f'{quote(name)}::text COLLATE "C"' if texts else quote(name)

    def _standing(self, shape: TableShape, name: str) -> Any:
        return self.ground.standing[shape.name].columns[name]

    def _column(self, shape: TableShape, name: str) -> ColumnShape:
        return shape.columns[shape.names.index(name)]

    def _copied(self, shape: TableShape, query: str) -> Generator[bytes]:
        with reading_refused(self.tenant, shape):
            driver = self.connection.connection.driver_connection
            yield from copied(driver, f"COPY ({query}) TO STDOUT", size=CHUNK)
