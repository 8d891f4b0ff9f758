"""What stands at a tenant's place, by the database's own catalog: the tables and columns that an archive takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tenantry.archive.shapes import ColumnShape, Kind, TableShape
from tenantry.isolation.wall import POLICY
from tenantry.models import TENANT_COLUMN


@dataclass(frozen=True, slots=True)
class StandingColumn:
    """A column as the database has it; *cast* is what turns text into a value of it."""

    name: str
    kind: Kind
    scale: int | None
    cast: str = ""
    type: str = ""
    computed: bool = False
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class StandingTable:
    """A table as the database has it, with the columns of its primary key, and the tables that it refers to."""

    name: str
    columns: Mapping[str, StandingColumn] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


# One is written like the other.
_TEXTS: Final = {Kind.TEXT, Kind.PADDED}


def met(known: Sequence[TableShape], standing: Mapping[str, StandingTable], *, exact: bool) -> tuple[TableShape, ...]:
    """Returns the tables that stand, as they stand, those that others refer to first.

    At another revision there are tables and columns that the models do not have; these are taken too. *exact* says
    that the database knows the kinds of its columns better than the models do.
    """
    modelled = {shape.name: shape for shape in known if shape.name in standing}
    strange = sorted(standing.keys() - modelled.keys())
    order = dict.fromkeys(name for first in (*modelled, *strange) for name in _with_parents(first, standing))
    return tuple(_met(modelled.get(name, TableShape(name, (), ())), standing[name], exact=exact) for name in order)


def _with_parents(name: str, standing: Mapping[str, StandingTable], *below: str) -> Iterator[str]:
    """Yields the tables that a table refers to, however far, and then itself; a circle begins where it was entered."""
    for parent in standing[name].parents:
        if parent in standing and parent not in (name, *below):
            yield from _with_parents(parent, standing, name, *below)
    yield name


def _met(shape: TableShape, table: StandingTable, *, exact: bool) -> TableShape:
    modelled = {column.name: column for column in shape.columns}
    stored = [column for column in table.columns.values() if not column.computed and column.name != TENANT_COLUMN]
    # In the models' order: a table that was altered has its columns in another.
    places = {name: place for place, name in enumerate(shape.names)}
    stored.sort(key=lambda column: (places.get(column.name, len(places)), column.name))
    columns = [_column(modelled.get(column.name), column, exact=exact) for column in stored]
    return TableShape(shape.name, tuple(columns), tuple(name for name in table.key if name != TENANT_COLUMN))


def _column(modelled: ColumnShape | None, column: StandingColumn, *, exact: bool) -> ColumnShape:
    if modelled is None:
        return ColumnShape(column.name, column.kind, column.scale)
    if not exact or column.kind is Kind.OTHER or {column.kind, modelled.kind} <= _TEXTS:
        return modelled
    return replace(modelled, kind=column.kind, scale=column.scale)


def lacking(wanted: Iterable[TableShape], standing: Mapping[str, StandingTable]) -> list[str]:
    """Returns the tables and columns that rows need and that do not stand."""
    missing = []
    for shape in wanted:
        table = standing.get(shape.name)
        if table is None:
            missing.append(shape.name)
            continue
        names = {column.name for column in table.columns.values() if not column.computed}
        missing += [f"{shape.name}.{name}" for name in shape.names if name not in names]
    return missing


_QUESTION: Final = """
select c.relname::text, a.attname::text, t.typname::text, a.atttypmod, a.attgenerated <> '' as computed,
       a.attidentity <> '' or pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname),
                                                     a.attname) is not null as numbered,
       case when t.typname in ('bpchar', 'bit', 'varbit') then quote_ident(t.typname)
            else format_type(a.atttypid, null) end as cast_to,
       t.typtype, array_position(i.indkey::int2[], a.attnum) as place,
       array(select p.relname::text from pg_constraint k join pg_class p on p.oid = k.confrelid
             where k.contype = 'f' and k.conrelid = c.oid and p.relnamespace = n.oid order by 1) as parents
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where n.nspname = %s and c.relkind in ('r', 'p') and not c.relispartition
  and (c.relname = any(%s) or exists(select 1 from pg_policy l where l.polrelid = c.oid and l.polname = %s))
order by c.relname, a.attnum
"""

_TYPES: Final = {
    "uuid": Kind.UUID,
    "int2": Kind.INTEGER,
    "int4": Kind.INTEGER,
    "int8": Kind.INTEGER,
    "numeric": Kind.NUMERIC,
    "float8": Kind.FLOAT,
    "float4": Kind.SINGLE,
    "bool": Kind.BOOLEAN,
    "text": Kind.TEXT,
    "varchar": Kind.TEXT,
    "citext": Kind.TEXT,
    "bpchar": Kind.PADDED,
    "bytea": Kind.BYTES,
    "timestamptz": Kind.TIMESTAMP,
    "timestamp": Kind.LOCAL_TIMESTAMP,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "interval": Kind.INTERVAL,
    "json": Kind.JSON,
    "jsonb": Kind.JSON,
}


def on_postgres(cursor: Any, schema: str, names: Iterable[str]) -> dict[str, StandingTable]:
    """Returns those tables of a PostgreSQL schema, and every other that has our wall; *cursor* is psycopg's."""
    found: dict[str, dict[str, StandingColumn]] = {}
    keys: dict[str, dict[int, str]] = {}
    above: dict[str, tuple[str, ...]] = {}
    rows = cursor.execute(_QUESTION, (schema, list(names), POLICY)).fetchall()
    for table, name, type_, modifier, computed, numbered, cast, type_kind, place, parents in rows:
        above[table] = tuple(parents)
        kind = Kind.TEXT if type_kind == "e" else _TYPES.get(type_, Kind.OTHER)
        scale = _scale(modifier) if kind is Kind.NUMERIC else None
        found.setdefault(table, {})[name] = StandingColumn(name, kind, scale, cast, type_, computed, numbered)
        if place is not None:
            keys.setdefault(table, {})[place] = name
    return {
        table: StandingTable(
            table, columns, tuple(name for _, name in sorted(keys.get(table, {}).items())), above[table]
        )
        for table, columns in found.items()
    }


def _scale(modifier: int) -> int | None:
    # PostgreSQL keeps a numeric's scale, from -1000 to 1000, in eleven bits (numerictypmodin in numeric.c).
    return None if modifier < 4 else max(0, ((modifier - 4 & 0x7FF) ^ 1024) - 1024)
