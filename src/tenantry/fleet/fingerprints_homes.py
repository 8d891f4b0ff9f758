"""The shapes of many homes: one question for all schemas of a server, one for each database and each file."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from tenantry.fleet.fingerprints import Fingerprint
from tenantry.fleet.fingerprints_models import with_shared
from tenantry.fleet.fingerprints_postgres import read, sort
from tenantry.fleet.fingerprints_sqlite import read_file
from tenantry.fleet.homes import Home, HomeKind
from tenantry.fleet.owning import file_of
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import SqliteServer
from tenantry.models import SHARED_SCHEMA
from tenantry.tenancy import Tenancy

try:
    import psycopg
except ImportError:  # then no server of PostgreSQL can be asked, which its owner's connection says
    psycopg = None  # type: ignore[assignment]

if TYPE_CHECKING:
    Connection = psycopg.Connection[Any]

# A home's shape, or why it could not be looked at.
Seen = Fingerprint | str
Look = Callable[[], Mapping[Home, Seen]]

_ACTION: Final = "Looking at the shape of homes"
_BEGIN: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# What a backend learns of a table it keeps: 300 MB for 1,000 schemas of 20 tables. So connections are let go.
AT_ONCE: Final = 250


def shapes_of(tenancy: Tenancy, homes: Iterable[Home], *, jobs: int = 4) -> dict[Home, Seen]:
    """Returns the shape of each of *homes*, or the reason where one does not stand or does not answer.

    Raises: LoginRequired without the owner's login.
    """
    looks = [look for name, here in on_each_server(homes) for look in _looks(tenancy, name, here)]
    shapes: dict[Home, Seen] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for found in pool.map(lambda look: look(), looks):
            shapes |= found
    return shapes


def on_each_server(homes: Iterable[Home]) -> Iterator[tuple[str, list[Home]]]:
    """Yields the homes of each server."""
    for name, here in groupby(sorted(homes, key=lambda home: home.server), key=lambda home: home.server):
        yield name, list(here)


@contextlib.contextmanager
def reading(server: PostgresServer, database: str | None = None) -> Iterator[Connection]:
    """Opens a transaction of the owner that sees one state of a database and changes nothing.

    Raises: LoginRequired, and psycopg's errors where the database does not let the owner in.
    """
    with server.owner(action=_ACTION, database=database) as connection, connection.transaction():
        connection.execute(_BEGIN)
        yield connection


def _looks(tenancy: Tenancy, name: str, homes: list[Home]) -> Iterator[Look]:
    server = tenancy.servers.get(name)
    if isinstance(server, SqliteServer):
        files: dict[str, Fingerprint] = {}
        yield from (functools.partial(_look_at_file, server, home, files) for home in homes)
        return
    shapes: dict[str, Fingerprint] = {}
    schemas = [home for home in homes if home.kind is HomeKind.SCHEMA]
    for start in range(0, len(schemas), AT_ONCE):
        yield functools.partial(_look_at_schemas, server, schemas[start : start + AT_ONCE], shapes)
    yield from (
        functools.partial(_look_at_database, server, home) for home in homes if home.kind is not HomeKind.SCHEMA
    )


def _look_at_file(server: SqliteServer, home: Home, known: dict[str, Fingerprint]) -> Mapping[Home, Seen]:
    path = file_of(home, server)
    try:
        return {home: read_file(path, known)}
    except sqlite3.Error as error:
        return {home: f"{path}: {error}"}


def _look_at_schemas(
    server: PostgresServer, homes: Sequence[Home], known: dict[str, Fingerprint]
) -> Mapping[Home, Seen]:
    try:
        with reading(server) as connection:
            digests = sort(connection, [home.physical for home in homes])
            new = {digest: schema for schema, digest in digests.items() if digest not in known}
            shapes = read(connection, new.values()) if new else {}
    except psycopg.Error as error:
        return dict.fromkeys(homes, first_line(error))
    known |= {digest: shapes[schema] for digest, schema in new.items()}
    return {
        home: known[digests[home.physical]] if home.physical in digests else f"the schema {home.physical} is missing"
        for home in homes
    }


def _look_at_database(server: PostgresServer, home: Home) -> Mapping[Home, Seen]:
    common = server.config.common_schema
    try:
        with reading(server, home.physical or None) as connection:
            shapes = read(connection, [common, SHARED_SCHEMA])
    except psycopg.Error as error:
        return {home: first_line(error)}
    if common not in shapes:
        return {home: f"the schema {common} is missing"}
    return {home: with_shared(shapes[common], shapes.get(SHARED_SCHEMA))}


def first_line(error: Exception) -> str:
    """Returns what a database says first: the rest may quote rows."""
    return str(error).splitlines()[0]
