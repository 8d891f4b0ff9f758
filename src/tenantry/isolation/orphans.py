"""Orphans counted in PostgreSQL: rows whose foreign key points at nothing, by the role that sees every tenant's rows.

A validated key is no proof: the owner, whom row-level security blinds, validates it without seeing a row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenantry.isolation.wall import OPERATOR_POLICY, quote

try:
    import psycopg
except ImportError:  # then nobody has a connection to give
    psycopg = None  # type: ignore[assignment]

# How many rows are orphans, by the key that they break; or why nobody can say.
Counted = Mapping[str, int] | str

_KEYS: Final = """
select k.conname::text as name, c.relname::text as child, n.nspname::text as schema,
       p.relname::text as parent, m.nspname::text as other_schema,
       array(select array[a.attname::text, b.attname::text]
             from unnest(k.conkey, k.confkey) as pair(own, other)
             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.own
             join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.other) as pairs,
       (select rolbypassrls or rolsuper from pg_roles where rolname = %(operator)s)
       or (select count(distinct l.polrelid) from pg_policy l
           where l.polrelid in (k.conrelid, k.confrelid) and l.polname = %(policy)s)
          = case when k.conrelid = k.confrelid then 1 else 2 end as visible
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class p on p.oid = k.confrelid join pg_namespace m on m.oid = p.relnamespace
where k.contype = 'f' and n.nspname = %(schema)s and c.relname = any(%(walled)s) and p.relname = any(%(walled)s)
order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    child: str
    schema: str
    parent: str
    other_schema: str
    pairs: Sequence[Sequence[str]]
    visible: bool

    @property
    def question(self) -> str:
        """Counts the rows that point at nothing; a key with a null in it points nowhere."""
        given = " and ".join(f"c.{quote(own)} is not null" for own, _ in self.pairs)
        met = " and ".join(f"p.{quote(other)} = c.{quote(own)}" for own, other in self.pairs)
        parent = f"{quote(self.other_schema)}.{quote(self.parent)}"
        return (
            f"select count(*) from {quote(self.schema)}.{quote(self.child)} c "
            f"where {given} and not exists (select 1 from {parent} p where {met})"
        )


def count_orphans(connection: Any, schema: str, *, walled: Collection[str], operator: str) -> Counted:
    """Returns how many rows of the *walled* tables of a schema point at nothing, by ``table.key``.

    *connection* is psycopg's, of a login that may take the role *operator*; its transaction goes on unharmed.

    Raises: psycopg's errors when the connection is lost.
    """
    try:
        with connection.transaction():
            asked = {"operator": operator, "policy": OPERATOR_POLICY, "schema": schema, "walled": sorted(walled)}
            keys = [_Key(*row) for row in connection.execute(_KEYS, asked)]
            if hidden := [key.name for key in keys if not key.visible]:
                return f"{operator} has neither BYPASSRLS nor a policy on the tables of {', '.join(hidden)}"
            counts = _ask(connection, keys, operator)
    except psycopg.DatabaseError as error:
        if connection.closed:
            raise
        # The rest may quote rows.
        return str(error).splitlines()[0]
    return {f"{key.child}.{key.name}": count for key, count in zip(keys, counts, strict=True) if count}


def _ask(connection: Any, keys: Sequence[_Key], operator: str) -> Sequence[int]:
    if not keys:
        return ()
    connection.execute(f"SET LOCAL ROLE {operator}")
    # Each by a name of its own: rows with names, as psycopg before 3.3 makes them, have none twice.
    questions = ", ".join(f"({key.question}) AS key_{number}" for number, key in enumerate(keys))
    counts: Sequence[int] = connection.execute(f"select {questions}").fetchone()
    connection.execute("SET LOCAL ROLE NONE")
    return counts
