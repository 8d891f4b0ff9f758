"""Every database of a PostgreSQL server by pg_dump, each out of one snapshot that is counted too, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import URL

from tenantry.archive.dump_folders import Dump, DumpedFile, described
from tenantry.archive.programs import Programs
from tenantry.errors import DumpRefused, DumpUnequal, ServerNotEmpty
from tenantry.events import announce
from tenantry.isolation.postgres import OWNER, PostgresServer
from tenantry.isolation.wall import role_statements
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, TenantStatus

_ACTION: Final = "Dumping a server"
_RESTORING: Final = "Restoring a server"
_LIVING: Final = (TenantStatus.PROVISIONING, TenantStatus.ACTIVE, TenantStatus.SUSPENDED, TenantStatus.ERASING)
# Where one can always connect, whatever else stands.
_MAINTENANCE: Final = "postgres"
_SEES_ALL: Final = "SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_TABLES: Final = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""


def dump(
    tenancy: Tenancy,
    server: PostgresServer,
    folder: Path,
    *,
    taken_at: datetime,
    tables: Sequence[str],
    plain: bool,
    programs: Path | None,
) -> Dump:
    """Returns what was dumped: the server's database, and unless tables were chosen those of its tenants.

    Raises: DumpRefused, DumpFailed, ProgramMissing, LoginRequired.
    """
    version, names = _databases(tenancy, server, tables)
    found = Programs(programs, server_version=version)
    files = []
    for done, name in enumerate(names):
        announce("dump", "dump", server=server.name, what=name, done=done, total=len(names))
        files.append(_dumped(server, name, folder, found, tables=tables, plain=plain))
    return Dump(
        kind=server.kind,
        server=server.name,
        version=str(version),
        taken_at=taken_at,
        tables=tuple(tables),
        plain=plain,
        files=tuple(files),
    )


def foresee(tenancy: Tenancy, server: PostgresServer, *, tables: Sequence[str]) -> dict[str, int]:
    """Returns how many rows each database has that a dump would hold.

    Raises: DumpRefused, LoginRequired.
    """
    counts = {}
    for name in _databases(tenancy, server, tables)[1]:
        with server.owner(action=_ACTION, database=name) as connection, connection.transaction():
            connection.execute("SET LOCAL row_security = off")
            counts[name] = sum(_chosen(server, _count(connection), tables).values())
    return counts


def restore(server: PostgresServer, folder: Path, made: Dump, *, programs: Path | None, jobs: int) -> None:
    """Makes the databases of a dump, the one with the catalog last: until then nobody finds the others.

    Raises: ServerNotEmpty, DumpFailed, DumpUnequal, ProgramMissing, LoginRequired.
    """
    # The first is the one that the server's URL names; it may be called otherwise there.
    targets = {file.name: file.database for file in made.files} | {made.files[0].name: server.database}
    with _maintenance(server) as connection:
        version = connection.info.server_version
        _check_absent(server, connection, list(targets.values()))
        found = Programs(programs, server_version=version)
        created: list[str] = []
        try:
            _create(connection, server.database, created)
            server.run_each(role_statements(server.config, server.capabilities()), action=_RESTORING)
            for done, file in enumerate(reversed(made.files)):
                announce("dump", "restore", server=server.name, what=file.database, done=done, total=len(made.files))
                _restored(server, folder / file.name, targets[file.name], found, jobs=jobs, created=created)
                _compare(server, folder, file, targets[file.name])
        except BaseException:
            for name in created:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            raise


def _check_login(server: PostgresServer, connection: Any) -> None:
    login, sees_all = connection.execute(_SEES_ALL).fetchone()
    if not sees_all:
        reason = f"row-level security hides rows from the owner's login {login}, and pg_dump stops there."
        fix = "Give a superuser's URL, or one with BYPASSRLS, as the owner's; or back tenants up one by one."
        raise DumpRefused(server=server.name, reason=reason, fix=fix)


def _databases(tenancy: Tenancy, server: PostgresServer, tables: Sequence[str]) -> tuple[int, list[str]]:
    with server.owner(action=_ACTION) as connection:
        _check_login(server, connection)
        version: int = connection.info.server_version
    # The catalog first: of a tenant that comes meanwhile neither says anything.
    return version, [server.database, *([] if tables else _databases_of_tenants(tenancy, server))]


def _chosen(server: PostgresServer, counts: Mapping[str, int], tables: Sequence[str]) -> dict[str, int]:
    wanted = {_qualified(server, table) for table in tables}
    return {table: count for table, count in counts.items() if not wanted or table in wanted}


def _databases_of_tenants(tenancy: Tenancy, server: PostgresServer) -> list[str]:
    return [
        tenant.physical
        for tenant in tenancy.every_tenant(statuses=_LIVING)
        if tenant.isolation is Isolation.DATABASE and tenant.server == server.name
    ]


def _dumped(
    server: PostgresServer, database: str, folder: Path, found: Programs, *, tables: Sequence[str], plain: bool
) -> DumpedFile:
    url = server.url(OWNER, action=_ACTION, database=database)
    name = f"{database}.sql.gz" if plain else f"{database}.dump"
    form = ["--format=plain", "--compress=6"] if plain else ["--format=custom"]
    with server.owner(action=_ACTION, database=database) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL row_security = off")
        snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()[0]
        chosen = [f"--table={_qualified(server, table)}" for table in tables]
        where = f"--file={folder / name}"
        found.call("pg_dump", *form, where, f"--snapshot={snapshot}", "--no-owner", *chosen, url=_plain(url))
        rows = _chosen(server, _count(connection), tables)
        connection.execute("COMMIT")
    return described(folder, name, database, rows)


def _restored(
    server: PostgresServer, file: Path, database: str, found: Programs, *, jobs: int, created: list[str]
) -> None:
    options = ["--exit-on-error", "--no-owner", f"--jobs={jobs}"]
    if database != server.database:
        # With its own settings, rights and comment; it makes the database by that name.
        created.append(database)
        options.append("--create")
    url = server.url(OWNER, action=_RESTORING)
    found.call("pg_restore", *options, str(file), url=_plain(url))


def _compare(server: PostgresServer, folder: Path, file: DumpedFile, database: str) -> None:
    with server.owner(action=_RESTORING, database=database) as connection, connection.transaction():
        connection.execute("SET LOCAL row_security = off")
        found = _count(connection)
    unlike = sorted(name for name in {*found, *file.rows} if found.get(name) != file.rows.get(name))
    if unlike:
        raise DumpUnequal(folder=folder, found=f"{database}: {', '.join(unlike)}")


def _count(connection: Any) -> Mapping[str, int]:
    counts = {}
    for schema, table in connection.execute(_TABLES).fetchall():
        counted = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
        counts[f"{schema}.{table}"] = connection.execute(counted).fetchone()[0]
    return counts


@contextlib.contextmanager
def _maintenance(server: PostgresServer) -> Iterator[psycopg.Connection]:
    url = server.url(OWNER, action=_RESTORING, database=_MAINTENANCE)
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        yield connection


def _check_absent(server: PostgresServer, connection: psycopg.Connection, names: Sequence[str]) -> None:
    question = "SELECT datname FROM pg_database WHERE datname = ANY (%s) ORDER BY 1"
    present = [name for (name,) in connection.execute(question, (list(names),))]
    if present:
        raise ServerNotEmpty(server=server.name, found=f"the database {present[0]}")


def _create(connection: psycopg.Connection, name: str, created: list[str]) -> None:
    created.append(name)
    connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))


def _qualified(server: PostgresServer, table: str) -> str:
    return table if "." in table else f"{server.config.common_schema}.{table}"


def _plain(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
