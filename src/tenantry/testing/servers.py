"""The database server of a test run: an embedded one that all workers of the run share, or one that is there."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from tenantry.embedded import PostgresServer
from tenantry.errors import ExtraMissing

try:
    import psycopg
    from psycopg import sql
except ImportError as error:
    raise ExtraMissing(module="The test kit on PostgreSQL", extra="embedded") from error

_PAUSE: Final = 0.05


class Server:
    """A PostgreSQL server for tests, by the URL of a login that may make databases and roles."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __repr__(self) -> str:
        parts = urlsplit(self._address)
        return f"<Server {parts.hostname}:{parts.port}>"

    def url(self, database: str = "postgres") -> str:
        """Returns the URL of a database for the login that makes them."""
        return urlsplit(self._address)._replace(path=f"/{database}").geturl()

    @contextmanager
    def lend_database(self) -> Iterator[str]:
        """Lends the URL of a new, empty database, which is dropped afterwards with the templates made from it."""
        name = f"tenantry_test_{secrets.token_hex(8)}"
        with self._admin() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            self._drop(name)

    def drop_roles(self, names: list[str]) -> None:
        """Drops logins that were made for a run."""
        with self._admin() as connection:
            for name in names:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))

    @contextmanager
    def _admin(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self._address, autocommit=True) as connection:
            yield connection

    def _drop(self, name: str) -> None:
        templates = "select datname from pg_database where shobj_description(oid, 'pg_database') = %s"
        with self._admin() as connection:
            made = connection.execute(templates, (f"tenantry template: {name}",)).fetchall()
            for database in (name, *(template for (template,) in made)):
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(database)))


@contextmanager
def embedded() -> Iterator[Server]:
    """Lends an embedded server of this process's own."""
    with PostgresServer(max_connections=300) as server:
        yield Server(server.url())


@contextmanager
def shared(directory: Path) -> Iterator[Server]:
    """Lends one embedded server to every process that names the same directory: the first to ask starts it.

    It stops with the process that started it, which therefore waits for the others.
    """
    using = _opened(directory / "tenantry-server-use")
    started = _join(directory, using)
    try:
        yield Server((directory / "tenantry-server").read_text(encoding="utf-8"))
    finally:
        fcntl.flock(using, fcntl.LOCK_UN)
        if started is not None:
            _stop_when_alone(directory, started, using)
        using.close()


def _join(directory: Path, using: IO[str]) -> PostgresServer | None:
    """Counts this process among the users, and returns the server if it had to start it."""
    told, started = directory / "tenantry-server", None
    with _turn(directory):
        if not told.exists():
            started = PostgresServer(max_connections=500).start()
            with open(os.open(told, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(started.url())
        fcntl.flock(using, fcntl.LOCK_SH)
    return started


def _stop_when_alone(directory: Path, started: PostgresServer, using: IO[str]) -> None:
    # The door stays open while others work: one may come that has not asked yet.
    while not _stopped(directory, started, using):
        time.sleep(_PAUSE)


def _stopped(directory: Path, started: PostgresServer, using: IO[str]) -> bool:
    with _turn(directory):
        try:
            fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        (directory / "tenantry-server").unlink()
        started.stop()
    return True


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    with _opened(directory / "tenantry-server-turn") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> IO[str]:
    return path.open("a", encoding="utf-8")
