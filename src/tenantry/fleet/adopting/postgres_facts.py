"""What PostgreSQL's system catalog says of tables that are to be adopted, beyond their columns and keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tenantry.fleet.adopting.desk import Desk
from tenantry.isolation.wall import quote

# The adoption's own schema, and the beginning of every name of its making that stands elsewhere.
OWN_SCHEMA: Final = "tenantry_adopting"
MAPPING: Final = f"{OWN_SCHEMA}.tenants"
UNDOING: Final = f"{OWN_SCHEMA}.undoing"
PREFIX: Final = "tenantry_adopting_"
TRIGGER: Final = "tenantry_adopting"

_RELATIONS: Final = """
select c.relname::text as name, c.relkind::text as kind, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
       pg_get_userbyid(c.relowner)::text as owner, pg_has_role(current_user, c.relowner, 'USAGE') as ours,
       array(select distinct pg_get_userbyid(a.grantee)::text from aclexplode(c.relacl) a
             where a.grantee not in (0, c.relowner)) as grantees,
       exists(select 1 from aclexplode(c.relacl) a where a.grantee = 0) as public,
       array(select t.tgname::text from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal
             and t.tgtype & 16 > 0 and t.tgname <> 'tenantry_adopting') as on_update,
       array(select distinct v.oid::regclass::text from pg_depend d join pg_rewrite w on w.oid = d.objid
             join pg_class v on v.oid = w.ev_class
             where d.refobjid = c.oid and d.classid = 'pg_rewrite'::regclass and v.oid <> c.oid) as views,
       array(select k.conname::text from pg_constraint k where k.conrelid = c.oid and k.contype = 'c') as checks
from pg_class c where c.oid = to_regclass(%s)
"""

_POLICIES: Final = """
select format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', p.polname, p.polrelid::regclass,
    case when p.polpermissive then 'PERMISSIVE' else 'RESTRICTIVE' end,
    case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE'
                  else 'ALL' end,
    case when p.polroles = '{0}' then 'PUBLIC'
         else (select string_agg(quote_ident(rolname), ', ') from pg_roles where oid = any(p.polroles)) end,
    ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'), p.polname::text
from pg_policy p where p.polrelid = to_regclass(%s) order by p.polname
"""

_SEQUENCES: Final = """
select a.attname::text, pg_get_serial_sequence(%s, a.attname), a.attidentity::text
from pg_attribute a where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
and pg_get_serial_sequence(%s, a.attname) is not null
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """One table as the system catalog has it."""

    name: str
    kind: str
    enabled: bool
    forced: bool
    owner: str
    ours: bool
    grantees: Sequence[str]
    public: bool
    on_update: Sequence[str]
    views: Sequence[str]
    checks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that somebody wrote by hand, as the statement that makes it again."""

    creation: str
    name: str


@dataclass(frozen=True, slots=True)
class Numbering:
    """A column that a sequence of its own numbers; *identity* where PostgreSQL made it so."""

    column: str
    sequence: str
    identity: bool


def relation(desk: Desk, place: str) -> Relation:
    """Returns the facts of one table."""
    return Relation(*desk.rows(_RELATIONS, place)[0])


def policies(desk: Desk, place: str) -> list[Policy]:
    """Returns the policies of one table."""
    return [Policy(creation, name) for creation, name in desk.rows(_POLICIES, place)]


def numberings(desk: Desk, place: str) -> list[Numbering]:
    """Returns the columns of one table that sequences number."""
    found = desk.rows(_SEQUENCES, place, place, place)
    return [Numbering(column, sequence, bool(identity)) for column, sequence, identity in found]


def forced(desk: Desk, places: Iterable[str]) -> list[str]:
    """Returns those tables whose rows a policy hides from the owner, who therefore does not see them all."""
    free = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    if desk.rows(free)[0][0]:
        return []
    return [place for place in places if relation(desk, place).forced]


def unforcing(places: Iterable[str]) -> tuple[list[str], list[str]]:
    """Returns what lets the owner see every row, and what ends that, for one transaction around both."""
    tables = list(places)
    return (
        [f"ALTER TABLE {place} NO FORCE ROW LEVEL SECURITY" for place in tables],
        [f"ALTER TABLE {place} FORCE ROW LEVEL SECURITY" for place in tables],
    )


def is_begun(desk: Desk) -> bool:
    """Whether an adoption of this database is under way."""
    return bool(desk.rows("select 1 from pg_namespace where nspname = %s", OWN_SCHEMA))


def literal(text: str) -> str:
    """Returns *text* as a string in SQL."""
    return "'" + text.replace("'", "''") + "'"


def dollar(body: str) -> str:
    """Returns the body of a function between quotes that do not stand in it."""
    mark = "$tenantry$"
    while mark in body:
        mark = f"${mark[1:-1]}_$"
    return f"{mark}{body}{mark}"


def names(columns: Iterable[str]) -> str:
    """Returns columns as a list in SQL."""
    return ", ".join(quote(column) for column in columns)
