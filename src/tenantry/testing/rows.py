"""Rows made up for any walled table: every column that wants a value gets one, and each text bears a mark."""

from __future__ import annotations

import datetime
import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, Table, insert, select
from sqlalchemy.orm import Session
from sqlalchemy.types import (
    ARRAY,
    JSON,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Time,
    TypeDecorator,
    Uuid,
)

from tenantry.errors import RowUnknown
from tenantry.models import TENANT_COLUMN, Ownership, SecretReference, ownership
from tenantry.usage.money import Money

# Values by table and column, for what neither type nor CHECK tells of a row.
Known = Mapping[str, Mapping[str, Any]]

NOW: Final = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)
_WORDS: Final = re.compile(r"(\w+) IN \('([^']+)'")


@dataclass
class Side:
    """One tenant, the mark that each of its texts bears, and its rows by table."""

    slug: str
    id: uuid.UUID
    mark: str = field(default_factory=lambda: f"mark{secrets.token_hex(5)}")
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: Known = field(default_factory=dict)

    def fill(self, session: Session, tables: list[Table]) -> None:
        """Adds a row to each table that has none, those referred to first.

        Raises: RowUnknown for a column of which nothing tells what it takes.
        """
        for table in tables:
            if table.name not in self.rows:
                self.add(session, table)

    def add(self, session: Session, table: Table, **values: Any) -> dict[str, Any]:
        """Adds one row, which refers to those that are there, and returns all of it.

        Raises: RowUnknown.
        """
        row = {**new_row(table, self), **self._references(session, table), **values}
        session.execute(insert(table).values(row))
        own = [column == row[column.name] for column in table.primary_key if row.get(column.name) is not None]
        kept = session.execute(select(table).where(table.c[TENANT_COLUMN] == self.id, *own)).mappings().first()
        if kept is None:
            raise RowUnknown(table=table.name, column="*", what="took a row and shows none")
        self.rows[table.name] = dict(kept)
        return self.rows[table.name]

    def is_in(self, seen: object) -> bool:
        """Returns whether anything of this tenant's is in what was seen."""
        told = str(seen)
        return any(sign in told for sign in (self.mark, str(self.id), self.id.hex))

    def _references(self, session: Session, table: Table) -> dict[str, Any]:
        """Returns what the row's references hold: each another row; nothing where there is none yet."""
        values: dict[str, Any] = {}
        taken: set[str] = set()
        for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
            parent = constraint.referred_table
            row = self.rows.get(parent.name)
            own = [element for element in constraint.elements if element.parent.name != TENANT_COLUMN]
            if row is None and parent.name not in taken and any(not each.parent.nullable for each in own):
                row = self._parent(session, table, parent)
            if row is not None and own and parent.name in taken:
                row = {**row, **fresh_key(parent)}
                session.execute(insert(parent).values(row))
            taken.add(parent.name)
            values |= {element.parent.name: row and row[element.column.name] for element in own}
        # What was said of a column goes before what is made up.
        return {name: value for name, value in values.items() if name not in self.known.get(table.name, {})}

    def _parent(self, session: Session, table: Table, parent: Table) -> dict[str, Any] | None:
        return None if parent is table or not _is_walled(parent) else self.add(session, parent)


def new_row(table: Table, side: Side) -> dict[str, Any]:
    """Returns values for a new row of a tenant's: whatever the table does not fill by itself.

    Raises: RowUnknown for a column of a type that is not known here.
    """
    said, chosen = side.known.get(table.name, {}), _choices(table)
    row = {column.name: _chosen(column, side, chosen) for column in table.c if _wants_value(column, said)}
    if ownership(table) is Ownership.RECORD and "id" in table.c:
        row["id"] = side.id
    return {**row, **said, TENANT_COLUMN: side.id}


def fresh_key(table: Table) -> dict[str, Any]:
    """Returns another key than those of the rows that are there."""
    makes: dict[Any, Callable[[Any], Any]] = {
        Uuid: lambda _: uuid.uuid4(),
        Integer: lambda _: 1_000_000 + secrets.randbelow(1_000_000),
        String: lambda kind: secrets.token_hex(5)[: kind.length],
    }
    keys = {each.name: plain(each) for each in table.primary_key if not each.foreign_keys}
    keys.pop(TENANT_COLUMN, None)
    return {name: next(makes[kind](held) for kind in makes if isinstance(held, kind)) for name, held in keys.items()}


def plain(column: Column[Any]) -> Any:
    """Returns a column's type without what decorates it."""
    kind: Any = column.type
    # SQLAlchemy's Interval decorates DateTime, for databases that have none.
    while isinstance(kind, TypeDecorator) and not isinstance(kind, Interval):
        kind = kind.impl_instance
    return kind


def _is_walled(table: Table) -> bool:
    return ownership(table) in (Ownership.TENANT, Ownership.RECORD)


def _wants_value(column: Column[Any], said: Mapping[str, Any]) -> bool:
    if column.name == TENANT_COLUMN or column.name in said or column.computed is not None:
        return False
    fills_itself = column.default is not None or column.server_default is not None
    counts = column.primary_key and isinstance(plain(column), Integer) and column.autoincrement is True
    refers = bool(column.foreign_keys)
    return not (fills_itself or counts or refers) and (not column.nullable or isinstance(plain(column), String | JSON))


def _chosen(column: Column[Any], side: Side, chosen: Mapping[str, str]) -> Any:
    return chosen[column.name] if column.name in chosen else _value(column, side)


def _choices(table: Table) -> dict[str, str]:
    """Returns the first word that each column takes which takes only some."""
    checks = [str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)]
    return {found[1]: found[2] for check in checks for found in _WORDS.finditer(check)}


def _value(column: Column[Any], side: Side) -> Any:
    kind = plain(column)
    if isinstance(column.type, Money):
        return Decimal(1)
    if isinstance(column.type, SecretReference):
        return f"env:{side.mark}"
    if isinstance(kind, Enum):
        return next(iter(kind.enum_class)) if kind.enum_class else kind.enums[0]
    if isinstance(kind, String):
        return side.mark[: kind.length] if kind.length else side.mark
    for wanted, make in _MAKES.items():
        if isinstance(kind, wanted):
            return make(side)
    what = f"is of the type {column.type!r}, which the test kit cannot make up"
    raise RowUnknown(table=column.table.name, column=column.name, what=what)


_MAKES: Final[dict[Any, Callable[[Side], Any]]] = {
    Uuid: lambda _: uuid.uuid4(),
    JSON: lambda side: {"secret": side.mark},
    Boolean: lambda _: True,
    DateTime: lambda _: NOW,
    Date: lambda _: NOW.date(),
    Time: lambda _: NOW.time(),
    Interval: lambda _: datetime.timedelta(hours=1),
    Integer: lambda _: 1,
    Float: lambda _: 0.5,
    Numeric: lambda _: 1,
    LargeBinary: lambda side: side.mark.encode(),
    ARRAY: lambda _: [],
}
