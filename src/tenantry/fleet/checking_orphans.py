"""Orphans counted in many homes: rows whose foreign key points at nothing."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tenantry.fleet.fingerprints_homes import AT_ONCE, first_line, on_each_server
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.owning import file_of
from tenantry.isolation.orphans import Counted, count_orphans
from tenantry.isolation.postgres import OPERATOR, PostgresServer
from tenantry.isolation.servers import Server
from tenantry.isolation.sqlite import SqliteServer
from tenantry.models import Ownership, owned_tables
from tenantry.tenancy import Tenancy

try:
    import psycopg
except ImportError:  # then no server of PostgreSQL can be asked, which its owner's connection says
    psycopg = None  # type: ignore[assignment]

_ACTION: Final = "Counting orphans"
_BROKEN: Final = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2'


def orphans_of(tenancy: Tenancy, homes: Sequence[Home], *, jobs: int = 4) -> dict[Home, Counted]:
    """Returns how many rows of each home point at nothing, by key.

    Raises: LoginRequired without the owner's login.
    """
    counts = [count for name, here in on_each_server(homes) for count in _counts(tenancy.servers.get(name), here)]
    counted: dict[Home, Counted] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for found in pool.map(lambda count: count(), counts):
            counted |= found
    return counted


def _counts(server: Server, homes: Sequence[Home]) -> Iterator[Callable[[], Mapping[Home, Counted]]]:
    if isinstance(server, SqliteServer):
        yield from (functools.partial(_in_file, server, home) for home in homes)
        return
    by_database: dict[str | None, list[Home]] = defaultdict(list)
    for home in homes:
        by_database[home.physical if home.kind is HomeKind.DATABASE else None].append(home)
    for database, here in by_database.items():
        for start in range(0, len(here), AT_ONCE):
            yield functools.partial(_in_database, server, database, here[start : start + AT_ONCE])


def _in_file(server: SqliteServer, home: Home) -> Mapping[Home, Counted]:
    path = file_of(home, server).absolute().as_uri()
    try:
        with contextlib.closing(sqlite3.connect(f"{path}?mode=rw", uri=True, timeout=30)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return {home: {f"{child} to {parent}": count for child, parent, count in connection.execute(_BROKEN)}}
    except sqlite3.Error as error:
        return {home: str(error)}


def _in_database(server: PostgresServer, database: str | None, homes: Sequence[Home]) -> Mapping[Home, Counted]:
    walled = [table.name for table in owned_tables(server.metadata, Ownership.TENANT, Ownership.RECORD)]
    operator = server.config.role(OPERATOR)
    try:
        with server.owner(action=_ACTION, database=database) as connection:
            return {
                home: count_orphans(connection, _schema(server, home), walled=walled, operator=operator)
                for home in homes
            }
    except psycopg.Error as error:
        return dict.fromkeys(homes, first_line(error))


def _schema(server: PostgresServer, home: Home) -> str:
    return home.physical if home.kind is HomeKind.SCHEMA else server.config.common_schema
