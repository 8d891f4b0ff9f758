"""At which revision the homes stand, read by one question per server; SQLite files are opened one by one.

Tenants' own databases are read from their comments, which they keep true themselves (``isolation.marks``). One without
such a comment, made before there was a history or adopted, is asked directly.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.lineage import current_of
from tenantry.fleet.owners import Owners
from tenantry.fleet.owning import file_of
from tenantry.isolation.marks import noted_revision
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.stamps import VERSION_TABLE
from tenantry.isolation.wall import quote
from tenantry.tenancy import Tenancy

# A table's lock would be kept to the end of the transaction, and a server has room for some thousands of them. An error
# that is caught gives it back; a variable keeps its value.
_READER: Final = f"""
CREATE FUNCTION pg_temp.tenantry_revisions(schemas text[]) RETURNS TABLE (home text, revision text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $read$
BEGIN
    FOREACH home IN ARRAY schemas LOOP
        revision := NULL;
        BEGIN
            EXECUTE format('SELECT string_agg(version_num, '','' ORDER BY version_num) FROM %I.{VERSION_TABLE}', home)
                INTO revision;
            RAISE EXCEPTION USING ERRCODE = 'TNRD1';
        EXCEPTION WHEN SQLSTATE 'TNRD1' OR undefined_table OR invalid_schema_name THEN NULL;
        END;
        RETURN NEXT;
    END LOOP;
END $read$
"""
_ASK_DATABASES: Final = """
SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = ANY (%s)
"""
_STANDS: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_BUSY_SECONDS: Final = 5.0


def read_revisions(tenancy: Tenancy, homes: Sequence[Home], owners: Owners) -> dict[Home, str | None]:
    """Returns at which revision each home stands; None before the first, and where there is no home any more.

    Raises: LoginRequired.
    """
    found: dict[Home, str | None] = {}
    for name, of_server in groupby(sorted(homes, key=lambda home: home.server), key=lambda home: home.server):
        server, here = tenancy.servers.get(name), list(of_server)
        if isinstance(server, PostgresServer):
            found |= _of_postgres(server, here, owners)
        else:
            found |= {home: _of_file(file_of(home, server)) for home in here}
    return {home: found[home] for home in homes}


def _of_postgres(server: PostgresServer, homes: Sequence[Home], owners: Owners) -> dict[Home, str | None]:
    databases = [home for home in homes if home.kind is HomeKind.DATABASE]
    schemas = [home for home in homes if home.kind is not HomeKind.DATABASE]
    with owners.lend(server) as connection:
        found = _of_schemas(connection, server, schemas) if schemas else {}
        noted = _noted(connection, databases) if databases else {}
    asked = {home: _of_database(server, home, owners) for home in databases if home not in noted}
    return found | noted | asked


def _of_schemas(connection: Any, server: PostgresServer, homes: Sequence[Home]) -> dict[Home, str | None]:
    names = {home: home.physical or server.config.common_schema for home in homes}
    listed = ", ".join(f"'{name}'" for name in names.values())
    with connection.cursor() as cursor:
        cursor.execute(f"BEGIN; {_READER}; SELECT * FROM pg_temp.tenantry_revisions(ARRAY[{listed}]); ROLLBACK")
        while cursor.description is None:
            cursor.nextset()
        found = dict(cursor.fetchall())
    return {home: found[name] for home, name in names.items()}


def _noted(connection: Any, homes: Sequence[Home]) -> dict[Home, str | None]:
    """Returns what the databases' comments tell; a database that is gone stands nowhere."""
    comments = dict(connection.execute(_ASK_DATABASES, ([home.physical for home in homes],)).fetchall())
    noted = {home: noted_revision(comments[home.physical] or "") for home in homes if home.physical in comments}
    gone = {home: None for home in homes if home.physical not in comments}
    return gone | {home: revision or None for home, revision in noted.items() if revision is not None}


def _of_database(server: PostgresServer, home: Home, owners: Owners) -> str | None:
    table = f"{quote(server.config.common_schema)}.{VERSION_TABLE}"
    with owners.lend(server, database=home.physical) as connection:
        if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,):
            return None
        return current_of([head for (head,) in connection.execute(f"SELECT version_num FROM {table}")])


def _of_file(path: Path) -> str | None:
    """Returns at which revision a file stands.

    A file that nobody has open is read without the index of a write-ahead log, which would be made for the purpose and
    left behind: three times as fast, and twice as many files fewer. Whatever happened meanwhile has it read again.
    """
    calm = _calm(path)
    if calm is not None:
        with contextlib.suppress(sqlite3.Error):
            found = _asked(path, "mode=ro&immutable=1")
            if _calm(path) == calm:
                return found
    return _asked(path, "mode=ro") if path.exists() else None


def _calm(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file from itself after a change; None where somebody may be changing it."""
    if any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal")) or not path.exists():
        return None
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _asked(path: Path, mode: str) -> str | None:
    address = f"{path.absolute().as_uri()}?{mode}"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as connection:
        if connection.execute(_STANDS, (VERSION_TABLE,)).fetchone() is None:
            return None
        return current_of([head for (head,) in connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")])
