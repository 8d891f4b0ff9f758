"""The tables of a PostgreSQL database as they stand, by two questions to its system catalog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Table

from tenantry.fleet.adopting.desk import Desk
from tenantry.fleet.adopting.shapes import FOREIGN, INDEX, PRIMARY, UNIQUE, ColumnShape, Key, Shape

_COLUMNS: Final = """
select c.relnamespace::regnamespace::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
       a.attnotnull, a.atthasdef or a.attidentity <> '', coalesce(col_description(c.oid, a.attnum), '')
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = any(%s::regnamespace[]) and c.relname = any(%s) and c.relkind in ('r', 'p', 'f')
order by a.attnum
"""

_KEYS: Final = """
select c.relnamespace::regnamespace::text, c.relname::text, k.contype::text, k.conname::text,
       array(select a.attname::text from unnest(k.conkey) with ordinality n(number, place)
             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.number order by n.place),
       coalesce(t.relname::text, ''),
       array(select a.attname::text from unnest(k.confkey) with ordinality n(number, place)
             join pg_attribute a on a.attrelid = k.confrelid and a.attnum = n.number order by n.place)
from pg_constraint k join pg_class c on c.oid = k.conrelid left join pg_class t on t.oid = k.confrelid
where c.relnamespace = any(%s::regnamespace[]) and c.relname = any(%s) and k.contype in ('p', 'u', 'f')
union all
select c.relnamespace::regnamespace::text, c.relname::text, case when i.indisunique then 'U' else 'I' end,
       x.relname::text,
       array(select coalesce(a.attname::text, '') from unnest(i.indkey::int[]) with ordinality n(number, place)
             left join pg_attribute a on a.attrelid = c.oid and a.attnum = n.number and n.number > 0
             where n.place <= i.indnkeyatts order by n.place), '', array[]::text[]
from pg_index i join pg_class c on c.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
where c.relnamespace = any(%s::regnamespace[]) and c.relname = any(%s)
  and not exists(select 1 from pg_constraint k where k.conindid = x.oid and k.contype in ('p', 'u', 'x'))
order by 1, 2, 4
"""

_KINDS: Final = {"p": PRIMARY, "u": UNIQUE, "f": FOREIGN, "U": UNIQUE, "I": INDEX}


def read_shapes(desk: Desk, tables: Iterable[Table], schemas: Sequence[str]) -> dict[str, Shape]:
    """Returns the shape of each of *tables* that stands in one of *schemas*; the first that has the table wins."""
    names = [table.name for table in tables]
    asked = [schema for schema in schemas if desk.rows("select to_regnamespace(%s)", schema)[0][0]]
    columns: dict[tuple[str, str], dict[str, ColumnShape]] = defaultdict(dict)
    for schema, name, *facts in desk.rows(_COLUMNS, asked, names):
        column = ColumnShape(*facts)
        columns[schema, name][column.name] = column
    keys: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for schema, name, kind, key, own, target, others in desk.rows(_KEYS, asked, names, asked, names):
        found = Key(_KINDS[kind], key, tuple(own), target, tuple(others), constraint=kind.islower())
        keys[schema, name].append(found)
    places = {name: schema for schema in reversed(asked) for there, name in columns if there == schema}
    return {name: Shape(schema, name, columns[schema, name], keys[schema, name]) for name, schema in places.items()}
