"""The transaction on PostgreSQL in which a tenant's rows are read or written, whoever the login is."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tenantry.archive.reading_postgres import Ground, PostgresReader
from tenantry.archive.refusing import filtered, reading_refused, unfit
from tenantry.archive.shapes import TableShape, shapes
from tenantry.archive.standing import lacking, met, on_postgres
from tenantry.archive.writing_postgres import MARGIN, Abilities, PostgresWriter
from tenantry.isolation.appending import PURGING
from tenantry.isolation.binding import Binding
from tenantry.isolation.fencing_names import PRESENT_POLICY
from tenantry.isolation.postgres import OPERATOR, OWNER, PostgresServer
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, quote
from tenantry.models import Ownership, is_append_only, owned_tables
from tenantry.types import Isolation, Tenant

_READING: Final = "Reading a tenant's rows"
_WRITING: Final = "Writing a tenant's rows"
_PRIVILEGE: Final = "42501"

# In these PostgreSQL's own text is canonical, but for what the queries cast.
_SPELLING: Final = (
    "timezone = 'UTC'",
    "datestyle = 'ISO, YMD'",
    "intervalstyle = 'postgres'",
    "extra_float_digits = 1",
    "bytea_output = 'hex'",
    "client_encoding = 'UTF8'",
)
_SNAPSHOT: Final = ("transaction_isolation = 'repeatable read'", "transaction_read_only = on")

_ROLE: Final = """
select current_user::text, session_user::text, clock_timestamp(),
       (select rolbypassrls or rolsuper from pg_roles where rolname = current_user)
"""

# Tables on which the role does not see every row: no policy shows it all of them, or one restricts it further.
_HIDDEN: Final = """
with mine as (
    select p.*, pg_get_expr(p.polqual, p.polrelid) as test from pg_policy p
    where exists(select 1 from unnest(p.polroles) r where r = 0 or pg_has_role(current_user, r, 'USAGE')))
select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = any(%s) and c.relrowsecurity and not (
    exists(select 1 from mine where polrelid = c.oid and polpermissive and polcmd = '*' and test = 'true')
    and not exists(select 1 from mine where polrelid = c.oid and not polpermissive and polname <> all(%s)))
order by 1
"""
# Restrictive policies that hide no row: they raise an error, or let all pass.
_RAISING: Final = [PRESENT_POLICY]


@contextlib.contextmanager
def postgres_reading(
    server: PostgresServer,
    tenant: Tenant,
    *,
    wanted: Sequence[TableShape] | None,
    spelled: uuid.UUID,
    login: str | None,
    within: Connection | None,
) -> Iterator[PostgresReader]:
    """Opens a snapshot of a tenant's rows.

    Raises: BackupFiltered, PlaceUnfit, LoginRequired.
    """
    before = _revision(server, tenant)
    with _entered(server, tenant, *_SNAPSHOT, action=_READING, login=login, within=within) as connection:
        ground, taken_at, _ = _ground(server, tenant, connection, wanted)
        tables = _tables(server, tenant, ground, wanted)
        _hold(ground, tenant, tables)
        reader = PostgresReader(ground, tenant, tables, spelled=spelled)
        reader.taken_at = taken_at
        reader.revision = _revision(server, tenant)
        if reader.revision != before:
            raise unfit(tenant, "It is being migrated.", fix="Begin again when the fleet is through.")
        with contextlib.closing(reader):
            yield reader


@contextlib.contextmanager
def postgres_writing(
    server: PostgresServer,
    tenant: Tenant,
    *,
    wanted: Sequence[TableShape] | None,
    spelled: uuid.UUID,
    within: Connection | None,
) -> Iterator[PostgresWriter]:
    """Opens a transaction that writes a tenant's rows.

    Raises: BackupFiltered, PlaceUnfit, LoginRequired.
    """
    purging = f"{PURGING} = 'on'"
    with _entered(server, tenant, purging, action=_WRITING, login=None, within=within) as connection:
        ground, _, copies = _ground(server, tenant, connection, wanted)
        abilities = Abilities(
            copies=copies,
            append_only=frozenset(filter(lambda name: _is_append_only(server, name), ground.standing)),
            margin=MARGIN if tenant.isolation is Isolation.ROWS else 0,
            move_sequences=lambda statements: _run(server, tenant, statements),
        )
        tables = _tables(server, tenant, ground, wanted)
        writer = PostgresWriter(ground, tenant, tables, spelled=spelled, abilities=abilities)
        with contextlib.closing(writer):
            yield writer
            writer.close_circles()


def schema_of(server: PostgresServer, tenant: Tenant) -> str:
    """Returns the schema in which a tenant's tables stand."""
    return tenant.physical if tenant.isolation is Isolation.SCHEMA else server.config.common_schema


def database_of(tenant: Tenant) -> str | None:
    """Returns the name of a tenant's own database, None where it stands in the server's common one."""
    return tenant.physical if tenant.isolation is Isolation.DATABASE else None


@contextlib.contextmanager
def _entered(
    server: PostgresServer, tenant: Tenant, *settings: str, action: str, login: str | None, within: Connection | None
) -> Iterator[Connection]:
    path = f"search_path = {quote(schema_of(server, tenant))}, {EXTENSIONS_SCHEMA}, pg_temp"
    context = f"{server.config.context_setting} = '{tenant.id}'"
    if within is not None:
        with _borrowed(server, within, context, path, *_SPELLING, *(s for s in settings if s not in _SNAPSHOT)):
            yield within
        return
    server.ensure_checked()
    chosen = login or (OPERATOR if server.has_login(OPERATOR) else OWNER)
    preamble = server.preamble(*settings, context, path, *_SPELLING, role=OPERATOR)
    binding = Binding(tenant.id, preamble, prepared=False)
    with contextlib.ExitStack() as stack:
        opening = server.connection_to(database_of(tenant), login=chosen, action=action, binding=binding)
        yield _opened(stack, opening, server, tenant)


def _opened(stack: contextlib.ExitStack, opening: Any, server: PostgresServer, tenant: Tenant) -> Connection:
    try:
        connection: Connection = stack.enter_context(opening)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _PRIVILEGE:
            raise
        raise filtered(tenant, f"the login may not act as {server.config.role(OPERATOR)}.") from error
    return connection


@contextlib.contextmanager
def _borrowed(server: PostgresServer, connection: Connection, *settings: str) -> Iterator[None]:
    """Has a transaction of somebody else's act as the operator for a ``with`` block."""
    cursor = connection.connection.cursor()
    standing, session = cursor.execute("select current_user::text, session_user::text").fetchone()
    cursor.execute("; ".join(f"SET LOCAL {setting}" for setting in (f"ROLE {server.config.role(OPERATOR)}", *settings)))
    yield
    cursor.execute(f"SET LOCAL row_security = on; SET LOCAL ROLE {'NONE' if standing == session else quote(standing)}")


def _ground(
    server: PostgresServer, tenant: Tenant, connection: Connection, wanted: Sequence[TableShape] | None
) -> tuple[Ground, datetime.datetime, bool]:
    """Returns where the rows stand, when that was seen, and whether the role goes past the walls by itself.

    Raises: BackupFiltered for a role that does not see every row.
    """
    schema = schema_of(server, tenant)
    names = [table.name for table in owned_tables(server.metadata, Ownership.TENANT, Ownership.RECORD)]
    # An older revision may have tables that the models do not know any more.
    names = list(dict.fromkeys([*names, *(table.name for table in wanted or ())]))
    with Ground(connection, schema, {}).cursor() as cursor:
        role, _, taken_at, bypasses = cursor.execute(_ROLE).fetchone()
        if bypasses:
            # From here on PostgreSQL itself refuses a read that it would filter.
            cursor.execute("SET LOCAL row_security = off")
        standing = on_postgres(cursor, schema, names)
        if not bypasses:
            _check_visible(cursor, tenant, schema, list(standing), role)
    return Ground(connection, schema, standing), taken_at, bypasses


def _check_visible(cursor: Any, tenant: Tenant, schema: str, names: Sequence[str], role: str) -> None:
    hidden = [name for (name,) in cursor.execute(_HIDDEN, (schema, list(names), _RAISING))]
    if hidden:
        raise filtered(tenant, f"{role} has neither BYPASSRLS nor a policy on {', '.join(hidden)}.")


def _tables(
    server: PostgresServer, tenant: Tenant, ground: Ground, wanted: Sequence[TableShape] | None
) -> tuple[TableShape, ...]:
    if wanted is None:
        if not ground.standing:
            raise unfit(tenant, f"No table of the models stands in {ground.schema}.")
        return met(shapes(server.metadata), ground.standing, exact=True)
    missing = lacking(wanted, ground.standing)
    if missing:
        raise unfit(tenant, f"It has no {', '.join(missing)}.")
    return tuple(wanted)


def _hold(ground: Ground, tenant: Tenant, tables: Sequence[TableShape]) -> None:
    """Keeps the tables from being altered before the rows are read.

    Raises: as what reads them does.
    """
    with ground.cursor() as cursor:
        for table in tables:
            # PostgreSQL 15 takes no lock for a role that may write only; a newer one lets the read refuse it.
            with reading_refused(tenant, table):
                cursor.execute(f"LOCK TABLE {ground.name(table.name)} IN ACCESS SHARE MODE")


def _revision(server: PostgresServer, tenant: Tenant) -> str | None:
    """Returns the revision at which a place stands, None where it has none."""
    table = f"{quote(schema_of(server, tenant))}.{VERSION_TABLE}"
    with as_owner(server, tenant) as connection:
        if connection.exec_driver_sql("select to_regclass(%s)", (table,)).scalar() is None:
            return None
        found = connection.exec_driver_sql(f"select string_agg(version_num, ',' order by version_num) from {table}")
        return found.scalar() or None


def _run(server: PostgresServer, tenant: Tenant, statements: Sequence[str]) -> None:
    with as_owner(server, tenant) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def as_owner(server: PostgresServer, tenant: Tenant) -> contextlib.AbstractContextManager[Connection]:
    """Opens a transaction of the owner's in the database in which a tenant's tables stand.

    Raises: LoginRequired.
    """
    database = database_of(tenant)
    if database is None:
        return server.connection(OWNER, action=_READING)
    return server.owner_connection(database)


def _is_append_only(server: PostgresServer, name: str) -> bool:
    table = server.metadata.tables.get(name)
    return table is not None and is_append_only(table)
