"""What stands in a tenant's own PostgreSQL schema or database, counted under lock before it is dropped."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import MetaData

from tenantry.errors import SurprisingErase
from tenantry.isolation.blueprints import Blueprint
from tenantry.isolation.searching import is_of_search
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, quote
from tenantry.models import TENANT_COLUMN, Ownership, owned_tables

# How long a session that still holds a table is waited for.
PATIENCE: Final = "lock_timeout = '10s'"
_NOT_IN_TIME: Final = "55P03"
_PROBE: Final = "t_probe_of_tenantry"
_NAMED_AT_MOST: Final = 5

_INSIDE: Final = """
select o.type || ' ' || replace(o.identity, %(schema)s || '.', '')
from pg_depend d cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) o
where d.refclassid = 'pg_namespace'::regclass and d.refobjid = to_regnamespace(%(schema)s) and d.deptype = 'n'
  and not exists(select 1 from pg_depend own where own.classid = d.classid and own.objid = d.objid
                 and own.refclassid = 'pg_class'::regclass and own.deptype in ('a', 'i'))
"""

# Every identity inside a schema bears the schema's name, which is like no other. What stands in it is found by what
# depends on it, as an index knows that; pg_class would be read whole.
_OUTSIDE: Final = """
with members as (
    select classid as class, objid as oid from pg_depend
    where refclassid = 'pg_namespace'::regclass and refobjid = to_regnamespace(%(schema)s)),
inside as (
    select class, oid from members
    union all
    select 'pg_type'::regclass, c.reltype from members m join pg_class c on c.oid = m.oid
    where m.class = 'pg_class'::regclass and c.reltype <> 0)
select distinct pg_describe_object(d.classid, d.objid, d.objsubid)
from inside i join pg_depend d on d.refclassid = i.class and d.refobjid = i.oid
cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) o
where d.deptype in ('n', 'a') and position(%(schema)s || '.' in o.identity) = 0
"""

_RELATIONS: Final = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not exists(select 1 from pg_depend d
                 where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
"""

_LOCKS: Final = """
select count(*) + 2 * count(*) filter (where c.reltoastrelid <> 0)
       + coalesce(sum((select count(*) from pg_index i where i.indrelid = c.oid)), 0),
       current_setting('max_locks_per_transaction')::bigint
       * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint)
from pg_depend d join pg_class c on c.oid = d.objid
where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_namespace'::regclass and d.refobjid = to_regnamespace(%s)
"""

_PRESENT: Final = """
select name from unnest(%s::text[]) as name
where to_regclass(quote_ident(%s) || '.' || quote_ident(name)) is not null
"""


@contextlib.contextmanager
def patiently(tenant: uuid.UUID) -> Iterator[None]:
    """Says it in our words where another session held a table for too long.

    Raises: SurprisingErase.
    """
    try:
        yield
    except Exception as error:
        if getattr(error, "sqlstate", None) != _NOT_IN_TIME:
            raise
        raise SurprisingErase(tenant=tenant, reason="another session holds its tables.") from error


def own_tables(metadata: MetaData) -> list[str]:
    """Returns the names of the tables that a tenant has to itself, those that others refer to first."""
    return [table.name for table in owned_tables(metadata, Ownership.TENANT, Ownership.RECORD)]


def present_tables(cursor: Any, schema: str, names: Sequence[str]) -> list[str]:
    """Returns those of *names* that stand as tables in *schema*, in their order."""
    found = {name for (name,) in cursor.execute(_PRESENT, (list(names), schema))}
    return [name for name in names if name in found]


def check_schema(cursor: Any, schema: str, tenant: uuid.UUID, blueprint: Blueprint) -> None:
    """Lets a schema pass that holds what we made, and on which nothing outside stands.

    Raises: SurprisingErase, which names the rest.
    """
    known = {f"table {quote(name)}" for name in (*own_tables(blueprint.metadata), VERSION_TABLE)}
    inside = set(_answers(cursor, _INSIDE, schema))
    foreign = {thing for thing in inside - known if not _searches(thing)}
    if foreign:
        # The models' own DDL may have made more than tables.
        foreign -= _made_by(cursor, blueprint)
    _refuse(tenant, sorted(foreign), f"in schema {schema}, which the models did not make")
    _refuse(tenant, sorted(_answers(cursor, _OUTSIDE, schema)), f"elsewhere, which stands on schema {schema}")


def _searches(thing: str) -> bool:
    """Whether it is a function of a search, which another process may have made; nothing else is."""
    kind, _, name = thing.partition(" ")
    return kind == "function" and is_of_search(name)


def check_database(cursor: Any, tenant: uuid.UUID, known: Iterable[tuple[str, str]]) -> None:
    """Lets a database pass whose tables are all among *known*, each with its schema.

    Raises: SurprisingErase, which names the rest.
    """
    found = {tuple(row) for row in cursor.execute(_RELATIONS)}
    foreign = sorted(f"{schema}.{name}" for schema, name in found - set(known))
    _refuse(tenant, foreign, "in the tenant's database, which the models did not make")


def count_locked(cursor: Any, schema: str, names: Sequence[str], tenant: uuid.UUID | None) -> Mapping[str, int]:
    """Locks tables of a tenant's own for the rest of the transaction and returns how many rows each has.

    Raises: SurprisingErase for rows that are not *tenant*'s; None takes them all.
    """
    if not names:
        return {}
    tables = [f"{quote(schema)}.{quote(name)}" for name in names]
    # Forced, the policy would hide another tenant's rows from their owner, who is to tell of them.
    unforced = "; ".join(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY" for table in tables)
    cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE; {unforced}")
    strange = "false" if tenant is None else f"{TENANT_COLUMN} IS DISTINCT FROM '{tenant}'"
    question = " UNION ALL ".join(
        f"SELECT {number}, count(*), count(*) FILTER (WHERE {strange}) FROM {table}"
        for number, table in enumerate(tables)
    )
    rows = {number: (all_rows, strangers) for number, all_rows, strangers in cursor.execute(question)}
    strangers = [f"{rows[number][1]} rows of {name}" for number, name in enumerate(names) if rows[number][1]]
    if tenant is not None:
        _refuse(tenant, strangers, "which belong to another tenant")
    return {name: rows[number][0] for number, name in enumerate(names)}


def fits_one_transaction(cursor: Any, schema: str) -> bool:
    """Whether the server's lock table surely has room for dropping a schema at once (HAZARDS F09)."""
    needed, room = cursor.execute(_LOCKS, (schema,)).fetchone()
    return bool(needed <= room // 2)


def _answers(cursor: Any, question: str, schema: str) -> list[str]:
    return [answer for (answer,) in cursor.execute(question, {"schema": schema})]


def _made_by(cursor: Any, blueprint: Blueprint) -> set[str]:
    """Returns what a schema made by the blueprint would hold, found out by making one and taking it back."""
    cursor.execute(f"SAVEPOINT probing; SET LOCAL search_path = {_PROBE}, {EXTENSIONS_SCHEMA}, pg_temp")
    cursor.execute(blueprint.schema(_PROBE))
    made = set(_answers(cursor, _INSIDE, _PROBE))
    cursor.execute("ROLLBACK TO SAVEPOINT probing")
    return made


def _refuse(tenant: uuid.UUID, things: Sequence[str], where: str) -> None:
    if things:
        more = f" and {len(things) - _NAMED_AT_MOST} more" if len(things) > _NAMED_AT_MOST else ""
        raise SurprisingErase(tenant=tenant, reason=f"{', '.join(things[:_NAMED_AT_MOST])}{more} {where}.")
