"""What an archive would leave out, by the database's own catalog: a tenant's rows in tables that no model has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from tenantry.archive.place_postgres import as_owner, database_of, schema_of
from tenantry.archive.place_sqlite import file_of, opened
from tenantry.archive.standing_sqlite import on_sqlite
from tenantry.catalog.tables import CATALOG_SCHEMA
from tenantry.isolation.fencing_names import CHANGES_TABLE, FENCE_TABLE
from tenantry.isolation.fencing_names import SCHEMA as FENCES
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.registries import DATABASE_REGISTRY, TABLES, registry_schema
from tenantry.isolation.sqlite import SqliteServer, tables_of
from tenantry.isolation.sqlite_stored import STORED_SUFFIX
from tenantry.isolation.sqlite_stored import quote as quote_in_sqlite
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, POLICY, quote
from tenantry.models import SHARED_SCHEMA, TENANT_COLUMN, Ownership, is_walled, owned_tables
from tenantry.tenancy import Tenancy
from tenantry.types import Finding, Isolation, Tenant

# Every table of the database but the system's and the library's own; how it can be asked about rows of a tenant.
_TABLES: Final = """
select n.nspname::text as home, c.relname::text as name,
       exists(select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = %(column)s
              and not a.attisdropped) as marked,
       n.nspname = %(own)s and exists(select 1 from pg_policy p where p.polrelid = c.oid and p.polname = %(wall)s)
       as taken,
       has_table_privilege(c.oid, 'SELECT') and (
           not c.relrowsecurity or not row_security_active(c.oid)
           or exists(select 1 from pg_policy p where p.polrelid = c.oid and p.polname = %(wall)s)) as open
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_'
  and n.nspname <> 'information_schema' and n.nspname <> all(%(ours)s)
  and (n.nspname = %(own)s or n.nspname !~ '^t_[0-9a-f]{32}$')
  and not exists(select 1 from pg_depend d
                 where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by 1, 2
"""
_OURS: Final = (CATALOG_SCHEMA, SHARED_SCHEMA, EXTENSIONS_SCHEMA, FENCES)


def unlisted(tenancy: Tenancy, tenant: Tenant) -> list[Finding]:
    """Returns a finding for each table at a tenant's place that holds its rows and that the models do not know.

    At a place of its own every row is the tenant's. An empty list means that the whole database was looked through.

    Raises: LoginRequired without the owner's login; PlaceUnfit for a place that is not there.
    """
    server = tenancy.servers.get(tenant.server)
    if isinstance(server, SqliteServer):
        return list(_in_file(server, tenant))
    with as_owner(server, tenant) as connection:
        return list(_in_database(server, tenant, connection))


def _in_database(server: PostgresServer, tenant: Tenant, connection: Connection) -> Iterator[Finding]:
    # The policy of a table that only the models lack shows the owner the tenant's rows.
    connection.exec_driver_sql(f"SET LOCAL {server.config.context_setting} = '{tenant.id}'")
    own = schema_of(server, tenant)
    known = set(_known(server, tenant, own))
    asked = {"column": TENANT_COLUMN, "ours": list(_OURS), "own": own, "wall": POLICY}
    for home, name, marked, taken, open_ in connection.exec_driver_sql(_TABLES, asked).fetchall():
        alone = database_of(tenant) is not None or (tenant.isolation is Isolation.SCHEMA and home == own)
        # Behind our wall it is read whatever the models know.
        if taken or (home, name) in known or not (marked or alone):
            continue
        table = f"{quote(home)}.{quote(name)}"
        if not open_:
            yield _finding(f"{home}.{name}", "cannot be read by the owner")
        elif _holds_rows(connection, table, None if alone else str(tenant.id)):
            yield _finding(f"{home}.{name}", "holds rows of the tenant")


def _known(server: PostgresServer, tenant: Tenant, own: str) -> Iterator[tuple[str, str]]:
    common = server.config.common_schema
    for table in server.metadata.tables.values():
        # A tenant's own tables stand at its place; platform tables are nobody's but the platform's.
        yield (own if is_walled(table) else table.schema or common), table.name
        yield table.schema or common, table.name
    for home in (own, common):
        yield home, VERSION_TABLE
    for home in (DATABASE_REGISTRY, registry_schema(tenant.physical)):
        yield from ((home, name) for name in TABLES)


def _holds_rows(connection: Connection, table: str, tenant: str | None) -> bool:
    if tenant is None:
        return connection.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").first() is not None
    question = f"SELECT 1 FROM {table} WHERE replace(lower({TENANT_COLUMN}::text), '-', '') = %s LIMIT 1"
    return connection.exec_driver_sql(question, (tenant.replace("-", ""),)).first() is not None


def _in_file(server: SqliteServer, tenant: Tenant) -> Iterator[Finding]:
    suffix = STORED_SUFFIX if tenant.isolation is Isolation.ROWS else ""
    shared = {table.name for table in owned_tables(server.metadata, Ownership.SHARED)}
    with opened(server, tenant, None, read_only=True) as connection:
        known = shared | {name + suffix for name in on_sqlite(connection, suffix=suffix)}
        strange = tables_of(connection) - known - {VERSION_TABLE, FENCE_TABLE, CHANGES_TABLE}
        for name in sorted(strange):
            if _in_table(connection, name, tenant):
                yield _finding(f"{file_of(tenant)}: {name}", "holds rows of the tenant")


def _in_table(connection: Connection, name: str, tenant: Tenant) -> bool:
    table = quote_in_sqlite(name)
    if tenant.isolation is Isolation.DATABASE:
        return connection.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").first() is not None
    columns = connection.exec_driver_sql("SELECT name FROM pragma_table_xinfo(?)", (name,)).scalars().all()
    if TENANT_COLUMN not in columns:
        return False
    spelled = f"replace(lower(CAST({TENANT_COLUMN} AS TEXT)), '-', '')"
    question = f"SELECT 1 FROM {table} WHERE {spelled} = ? OR {TENANT_COLUMN} = ? LIMIT 1"
    return connection.exec_driver_sql(question, (tenant.id.hex, tenant.id.bytes)).first() is not None


def _finding(name: str, what: str) -> Finding:
    fix = "Declare it in the models, construct the behaviour whose table it is, or drop it."
    return Finding("R002", name, f"{what}, and the models do not know it.", fix)
