"""What the doctor asks a PostgreSQL database: its system catalog alone, which every login may read.

A question about rights has the parameter ``watched``: the names of the roles whose rights count beside PUBLIC's.
"""

from __future__ import annotations

from typing import Final

from tenantry.isolation.appending import TRIGGER, TRUNCATION
from tenantry.isolation.searching import COLUMN

_OURS: Final = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"


def _of_extension(catalog: str, oid: str) -> str:
    return (
        f"exists(select 1 from pg_depend d where d.classid = '{catalog}'::regclass "
        f"and d.objid = {oid} and d.deptype = 'e')"
    )


ROLES: Final = """
select rolname as name, rolsuper as superuser, rolbypassrls as bypass, rolcreaterole as creates_roles,
       rolcreatedb as creates_databases, rolreplication as replicates, rolcanlogin as logs_in
from pg_roles
"""

# Before 16 a membership had no options and could always be used.
MEMBERSHIPS: Final = """
select m.rolname as member, r.rolname as role,
       coalesce((to_jsonb(a) ->> 'inherit_option')::bool, true)
       or coalesce((to_jsonb(a) ->> 'set_option')::bool, true) as usable
from pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles r on r.oid = a.roleid
"""

SEARCH_PATHS: Final = """
select r.rolname, s.setting from pg_db_role_setting d join pg_roles r on r.oid = d.setrole
cross join lateral unnest(d.setconfig) as s(setting)
where s.setting like 'search_path=%'
  and d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
"""

RELATIONS: Final = f"""
select c.oid::bigint as oid, n.nspname as schema, c.relname as name, c.relkind::text as kind,
       c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
       coalesce(c.reloptions, '{{}}')::text[] as options, pg_get_userbyid(c.relowner)::text as owner,
       {_of_extension("pg_class", "c.oid")} as of_extension
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and {_OURS}
"""

POLICIES: Final = """
select p.polrelid::bigint as relation, p.polname::text as name, p.polpermissive as permissive,
       p.polcmd::text as command,
       array(select coalesce(r.rolname, 'public')::text from unnest(p.polroles) as u(role)
             left join pg_roles r on r.oid = u.role order by 1) as roles,
       pg_get_expr(p.polqual, p.polrelid) as using_test, pg_get_expr(p.polwithcheck, p.polrelid) as check_test
from pg_policy p
"""

TRIGGERS: Final = f"""
select t.tgrelid::bigint as relation, t.tgname::text as name, t.tgenabled in ('O', 'A') as enabled, p.prosrc as body
from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgname::text in ('{TRIGGER}', '{TRUNCATION}')
"""

GRANTS: Final = f"""
with entries as (
    select c.oid, c.relowner, a.grantee, a.privilege_type
    from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(c.relacl) a
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and {_OURS}
    union
    select c.oid, c.relowner, a.grantee, a.privilege_type
    from pg_attribute t join pg_class c on c.oid = t.attrelid join pg_namespace n on n.oid = c.relnamespace
    cross join lateral aclexplode(t.attacl) a
    where t.attacl is not null and {_OURS}
)
select e.oid::bigint as relation, coalesce(r.rolname, 'public')::text as grantee,
       array_agg(e.privilege_type::text order by e.privilege_type) as privileges
from entries e left join pg_roles r on r.oid = e.grantee
where e.grantee <> e.relowner and (e.grantee = 0 or r.rolname = any(%(watched)s))
group by 1, 2
"""

UNIQUES: Final = f"""
select i.indrelid::bigint as relation, ic.relname::text as name, i.indisprimary as is_primary,
       array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnkeyatts) k) as columns
from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_namespace n on n.oid = ic.relnamespace
where (i.indisunique or i.indisexclusion) and {_OURS}
"""

FOREIGN_KEYS: Final = f"""
select k.conrelid::bigint as relation, k.confrelid::bigint as target, k.conname::text as name,
       array(select a.attname::text || '>' || b.attname::text
             from unnest(k.conkey, k.confkey) as p(own, other)
             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = p.own
             join pg_attribute b on b.attrelid = k.confrelid and b.attnum = p.other) as pairs
from pg_constraint k join pg_namespace n on n.oid = k.connamespace
where k.contype = 'f' and {_OURS}
"""

TENANT_COLUMNS: Final = """
select attrelid::bigint as relation, format_type(atttypid, null) as type, attnotnull as required
from pg_attribute where attname = 'tenant_id' and attnum > 0 and not attisdropped
"""

CHILDREN: Final = "select inhrelid::bigint as child, inhparent::bigint as parent from pg_inherits"

VIEWS: Final = """
select distinct r.ev_class::bigint as view, d.refobjid::bigint as relation
from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
where d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
"""

FUNCTIONS: Final = f"""
select n.nspname::text as schema, p.oid::regprocedure::text as signature, p.proname::text as name,
       pg_get_userbyid(p.proowner)::text as owner, l.lanname::text as language, p.prosrc as body,
       coalesce(p.proconfig, '{{}}')::text[] as settings,
       array(select distinct coalesce(r.rolname, 'public')::text
             from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
             left join pg_roles r on r.oid = a.grantee order by 1) as callers
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
where p.prosecdef and {_OURS} and not {_of_extension("pg_proc", "p.oid")}
"""

SEARCHED: Final = f"""
select attrelid::bigint as relation, coalesce(col_description(attrelid, attnum), '') as comment
from pg_attribute where attname = '{COLUMN}' and attgenerated = 's' and not attisdropped
"""

SCHEMA_CREATORS: Final = f"""
select n.nspname::text as schema, coalesce(r.rolname, 'public')::text as grantee
from pg_namespace n cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
left join pg_roles r on r.oid = a.grantee
where a.privilege_type = 'CREATE' and {_OURS} and (a.grantee = 0 or r.rolname = any(%(watched)s))
"""

SCHEMAS: Final = f"select n.nspname::text from pg_namespace n where {_OURS}"

DATABASE_GRANTS: Final = """
select coalesce(r.rolname, 'public')::text as grantee, array_agg(a.privilege_type::text order by 1) as privileges
from pg_database d cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
left join pg_roles r on r.oid = a.grantee
where d.datname = current_database() and (a.grantee = 0 or r.rolname = any(%(watched)s))
group by 1
"""

LARGE_OBJECT_FUNCTIONS: Final = """
select p.oid::regprocedure::text as signature, coalesce(r.rolname, 'public')::text as grantee
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
left join pg_roles r on r.oid = a.grantee
where n.nspname = 'pg_catalog' and a.privilege_type = 'EXECUTE'
  and p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_put', 'lo_get', 'lo_open')
  and (a.grantee = 0 or r.rolname = any(%(watched)s))
"""

DEFAULT_PRIVILEGES: Final = """
select pg_get_userbyid(d.defaclrole)::text as creator, coalesce(n.nspname, '')::text as schema,
       coalesce(r.rolname, 'public')::text as grantee
from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
cross join lateral aclexplode(d.defaclacl) a left join pg_roles r on r.oid = a.grantee
where d.defaclobjtype = 'r' and a.grantee <> d.defaclrole and (a.grantee = 0 or r.rolname = any(%(watched)s))
group by 1, 2, 3
"""

TYPES: Final = f"""
select n.nspname::text as schema, t.typname::text as name
from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid
where (t.typtype in ('e', 'd', 'r') or c.relkind = 'c') and {_OURS} and not {_of_extension("pg_type", "t.oid")}
"""

# Their functions open files, other connections or Python, none of which the wall can see.
REACHING: Final = """
select 'extension ' || extname from pg_extension where extname in ('dblink', 'postgres_fdw', 'file_fdw', 'adminpack')
union all
select 'language ' || lanname from pg_language where not lanpltrusted and lanname not in ('internal', 'c')
"""

EXTENSIONS: Final = """
select e.extname::text as name, n.nspname::text as schema, e.extversion::text as version
from pg_extension e join pg_namespace n on n.oid = e.extnamespace
"""

ABOUT: Final = """
select current_database()::text as database, current_setting('server_version_num')::int as version,
       coalesce(current_setting('tenantry.embedded', true), '') = 'on' as embedded,
       (select count(*) from pg_largeobject_metadata) as large_objects
"""

DATABASES: Final = """
select d.datname::text as name, coalesce(shobj_description(d.oid, 'pg_database'), '') as comment
from pg_database d
where d.datname ~ '^t_[0-9a-f]{32}$' or shobj_description(d.oid, 'pg_database') like 'tenantry: %'
"""

# A login is past the wall where the engine would refuse it, or demote it on a development server.
WHO: Final = """
select current_user::text as name, r.rolsuper as superuser, inet_server_port() as port,
       r.rolsuper or r.rolbypassrls or exists(
           select 1 from pg_class c join pg_policy p on p.polrelid = c.oid
           where p.polname = 'tenantry_isolation' and pg_has_role(r.oid, c.relowner, 'USAGE')) as past_the_wall,
       coalesce(current_setting('tenantry.embedded', true), '') = 'on' as embedded,
       coalesce((select s.ssl from pg_stat_ssl s where s.pid = pg_backend_pid()), false) as encrypted,
       coalesce(inet_client_addr() <<= '127.0.0.0/8' or inet_client_addr() = '::1', true) as near
from pg_roles r where r.rolname = current_user
"""
