"""The shape of PostgreSQL schemas, read from the system catalog by one question for as many schemas as there are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tenantry.fleet.fingerprints import BOOKKEEPING, Fact, Fingerprint
from tenantry.isolation.searching import ALIKE, FIND
from tenantry.isolation.wall import quote

if TYPE_CHECKING:
    import psycopg

# Names of other schemas are then written out, so that a reference that leaves its home is seen.
_SETTINGS: Final = "SET LOCAL search_path = ''"


def _outside_extensions(catalog: str, oid: str) -> str:
    return (
        f"not exists(select 1 from pg_depend e where e.classid = '{catalog}'::regclass "
        f"and e.objid = {oid} and e.deptype = 'e')"
    )


# What the owner may do with its own things, and in whose name a right was given, is not asked.
def _rights(acl: str, owner: str) -> str:
    return f"""
    cross join lateral (
        select coalesce(known.rolname, 'PUBLIC')::text as grantee,
               string_agg(a.privilege_type || case when a.is_grantable then ' to give on' else '' end, ', '
                          order by a.privilege_type) as rights
        from aclexplode({acl}) a left join pg_roles known on known.oid = a.grantee
        where a.grantee <> {owner} group by 1) g"""


_HOMES: Final = (
    """
homes as materialized (
    select n.oid, n.nspname::text as home, quote_ident(n.nspname) || '.' as prefix, n.nspowner, n.nspacl
    from pg_namespace n where n.nspname = any(%(schemas)s)
),
relations as materialized (
    select c.oid, c.relname::text as name, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
           c.relpersistence, c.reloptions, c.relpartbound, c.relreplident, h.home,
           coalesce(o.belongs, case when c.relkind = 'S' then '' else c.relname::text end) as belongs, o.numbered
    from pg_class c join homes h on h.oid = c.relnamespace
    left join lateral (
        select t.relname::text as belongs, a.attname::text as numbered
        from pg_depend d join pg_class t on t.oid = d.refobjid
        join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
          and d.deptype in ('a', 'i') and d.refobjsubid > 0 limit 1) o on c.relkind = 'S'
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relname <> all(%(bookkeeping)s)
      and """
    + _outside_extensions("pg_class", "c.oid")
    + """
)"""
)

_SCHEMAS: Final = f"""
select h.home, '', 'schema', 'owner', pg_get_userbyid(h.nspowner)::text from homes h
union all
select h.home, '', 'schema', 'rights of ' || g.grantee, g.rights from homes h {_rights("h.nspacl", "h.nspowner")}"""

_TABLES: Final = """
select r.home, r.name,
       case r.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, '',
       concat_ws(' ',
           case when r.relpersistence = 'u' then 'unlogged' end,
           case r.relkind when 'f' then 'foreign' when 'r' then 'plain'
               when 'p' then 'partitioned by ' || pg_get_partkeydef(r.oid) else pg_get_viewdef(r.oid) end,
           (select string_agg('below ' || i.inhparent::regclass::text, ' ' order by i.inhseqno)
            from pg_inherits i where i.inhrelid = r.oid),
           pg_get_expr(r.relpartbound, r.oid),
           (select 'with ' || string_agg(o, ', ' order by o) from unnest(r.reloptions) o),
           case when r.relreplident <> 'd' then 'replica identity ' || r.relreplident::text end)
from relations r where r.relkind <> 'S'
union all
select r.home, r.name, 'owner', '', pg_get_userbyid(r.relowner)::text from relations r where r.relkind <> 'S'
union all
select r.home, r.name, 'row-level security', '',
       case when not r.relrowsecurity then 'off' when r.relforcerowsecurity then 'on, forced' else 'on, not forced' end
       || case when r.relforcerowsecurity and not r.relrowsecurity then ', forced' else '' end
from relations r where r.relkind in ('r', 'p')"""

_COLUMNS: Final = f"""
select r.home, r.name, 'column', a.attname::text,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod),
           case when a.attcollation <> t.typcollation then 'collate ' || a.attcollation::regcollation::text end,
           case when a.attnotnull then 'not null' else 'null' end,
           case a.attidentity when 'a' then 'identity always' when 'd' then 'identity' end,
           case when a.attgenerated = '' then 'default ' || pg_get_expr(d.adbin, d.adrelid)
               else 'generated ' || pg_get_expr(d.adbin, d.adrelid)
                    || case a.attgenerated when 's' then ' stored' else '' end end)
from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'f')
union all
select r.home, r.name, 'rights', g.grantee || ' on ' || a.attname, g.rights
from relations r join pg_attribute a on a.attrelid = r.oid and a.attacl is not null and not a.attisdropped
{_rights("a.attacl", "r.relowner")}"""

_RIGHTS: Final = f"""
select r.home, r.belongs, 'rights', g.grantee || case when r.relkind = 'S' then ' on sequence ' || r.name else '' end,
       g.rights
from relations r {_rights("r.relacl", "r.relowner")}"""

_CONSTRAINTS: Final = """
select r.home, r.name,
       case k.contype when 'p' then 'primary key' when 'u' then 'unique' when 'c' then 'check'
           when 'f' then 'foreign key' when 'x' then 'exclusion' else 'not null' end,
       k.conname::text, pg_get_constraintdef(k.oid)
from relations r join pg_constraint k on k.conrelid = r.oid
where k.contype in ('p', 'u', 'c', 'f', 'x') or k.contype = 'n' and not k.convalidated"""

_INDEXES: Final = """
select r.home, r.name, 'index', c.relname::text,
       case when i.indisunique then 'unique ' else '' end
       || substring(d.definition from position(' USING ' in d.definition) + 1)
       || case when i.indisvalid and i.indisready then '' else ' INVALID' end
from relations r join pg_index i on i.indrelid = r.oid join pg_class c on c.oid = i.indexrelid
cross join lateral (select pg_get_indexdef(i.indexrelid) as definition) d
where not exists(select 1 from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))"""

_POLICIES: Final = """
select r.home, r.name, 'policy', p.polname::text,
       concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, 'for',
           case p.polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
               else 'delete' end,
           'to', (select string_agg(coalesce(o.rolname, 'PUBLIC')::text, ', ' order by o.rolname)
                  from unnest(p.polroles) u(role) left join pg_roles o on o.oid = u.role),
           'using ' || pg_get_expr(p.polqual, p.polrelid), 'with check ' || pg_get_expr(p.polwithcheck, p.polrelid))
from relations r join pg_policy p on p.polrelid = r.oid"""

# Foreign keys are kept by triggers of PostgreSQL's own; ALTER TABLE ... DISABLE TRIGGER ALL switches them off too.
_TRIGGERS: Final = """
select r.home, r.name, 'trigger', t.tgname::text,
       substring(d.definition from position(d.name in d.definition) + length(d.name))
       || case t.tgenabled when 'O' then '' when 'D' then ' DISABLED' when 'R' then ' ON REPLICA' else ' ALWAYS' end
from relations r join pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
cross join lateral (select pg_get_triggerdef(t.oid) as definition, ' ' || quote_ident(t.tgname) || ' ' as name) d
union all
select distinct r.home, r.name, 'enforcement', k.conname::text, 'switched off'
from relations r join pg_trigger t on t.tgrelid = r.oid and t.tgisinternal and t.tgenabled in ('D', 'R')
join pg_constraint k on k.oid = t.tgconstraint
union all
select r.home, r.name, 'rule', w.rulename::text, pg_get_ruledef(w.oid) || ' ' || w.ev_enabled::text
from relations r join pg_rewrite w on w.ev_class = r.oid and w.rulename <> '_RETURN'"""

_SEQUENCES: Final = """
select r.home, r.belongs, 'sequence', coalesce(r.numbered, r.name),
       concat_ws(' ', format_type(s.seqtypid, null), 'from', s.seqstart, 'by', s.seqincrement, 'between', s.seqmin,
           'and', s.seqmax, case when s.seqcycle then 'cycling' end, 'cache', s.seqcache)
from relations r join pg_sequence s on s.seqrelid = r.oid"""

_OTHERS: Final = f"""
select h.home, '', 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', 'returns', pg_get_function_result(p.oid), l.lanname,
           case when p.prosecdef then 'as its owner' end, array_to_string(p.proconfig, ' '),
           'body', md5(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)))
from homes h join pg_proc p on p.pronamespace = h.oid join pg_language l on l.oid = p.prolang
where p.proname <> all(%(bookkeeping)s) and p.proname !~ '^({FIND}|{ALIKE})'
  and {_outside_extensions("pg_proc", "p.oid")}
union all
select h.home, '', 'type', t.typname::text,
       case t.typtype
           when 'e' then (select 'enum ' || string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                          from pg_enum e where e.enumtypid = t.oid)
           when 'd' then concat_ws(' ', 'domain over', format_type(t.typbasetype, t.typtypmod),
               case when t.typnotnull then 'not null' end, t.typdefault,
               (select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname) from pg_constraint k
                where k.contypid = t.oid and k.contype = 'c'))
           when 'r' then 'range' else 'composite' end
from homes h join pg_type t on t.typnamespace = h.oid left join pg_class c on c.oid = t.typrelid
where (t.typtype in ('e', 'd', 'r') or c.relkind = 'c') and {_outside_extensions("pg_type", "t.oid")}
union all
select h.home, '', 'statistics', s.stxname::text,
       substring(d.definition from position(' ON ' in d.definition) + 1)
from homes h join pg_statistic_ext s on s.stxnamespace = h.oid
cross join lateral (select pg_get_statisticsobjdef(s.oid) as definition) d
union all
select h.home, '', 'schema', 'default rights of ' || g.grantee || ' on ' || d.defaclobjtype::text, g.rights
from homes h join pg_default_acl d on d.defaclnamespace = h.oid {_rights("d.defaclacl", "d.defaclrole")}"""

_PARTS: Final = (
    _SCHEMAS,
    _TABLES,
    _COLUMNS,
    _RIGHTS,
    _CONSTRAINTS,
    _INDEXES,
    _POLICIES,
    _TRIGGERS,
    _SEQUENCES,
    _OTHERS,
)
_FACTS: Final = "facts (home, belongs, kind, name, said) as (" + " union all ".join(_PARTS) + ")"

_READ: Final = f"with {_HOMES}, {_FACTS} select home, belongs, kind, name, said from facts"

# Only sorts homes into heaps of one shape, so it may be rough where a text happens to hold a schema's name.
_SORT: Final = f"""
with {_HOMES}, {_FACTS}
select home, md5(string_agg(concat_ws(E'\\x1f', belongs, kind, name, replace(said, prefix, '')), E'\\x1e'
                            order by belongs collate "C", kind collate "C", name collate "C", said collate "C"))
from facts join homes using (home) group by home"""


def sort(connection: psycopg.Connection[Any], schemas: Collection[str]) -> dict[str, str]:
    """Returns a digest for each of *schemas* that stands; schemas of one digest are of one shape.

    Schemas of one shape may have several digests, so a shape is only compared as ``read`` gives it.
    """
    connection.execute(_SETTINGS)
    return dict(connection.execute(_SORT, _asked(schemas)).fetchall())


def read(connection: psycopg.Connection[Any], schemas: Collection[str]) -> dict[str, Fingerprint]:
    """Returns the shape of each of *schemas* that stands, told as in the schema itself: without its own name."""
    connection.execute(_SETTINGS)
    found: dict[str, list[Fact]] = defaultdict(list)
    for home, *fact in connection.execute(_READ, _asked(schemas)):
        found[home].append(Fact(*(said or "" for said in fact)))
    return {home: Fingerprint.of(map(_within(home), facts)) for home, facts in found.items()}


def renamed(text: str, schema: str, name: str) -> str:
    """Returns SQL with *name* in place of *schema* wherever that stands before what is in it; '' leaves it out."""
    prefix, other = f"{quote(schema)}.", f"{quote(name)}." if name else ""
    if prefix not in text:
        return text
    mentioned = rf"(?P<literal>'(?:[^']|'')*')(?P<relation>::regclass)?|(?<![\w\"]){re.escape(prefix)}"

    def replaced(found: re.Match[str]) -> str:
        if found["relation"]:
            return found["literal"].replace(prefix, other) + found["relation"]
        return found["literal"] or other

    return re.sub(mentioned, replaced, text)


def _within(schema: str) -> Callable[[Fact], Fact]:
    return lambda fact: replace(fact, text=renamed(fact.text, schema, ""))


def _asked(schemas: Collection[str]) -> Mapping[str, list[str]]:
    return {"schemas": sorted(schemas), "bookkeeping": sorted(BOOKKEEPING)}
