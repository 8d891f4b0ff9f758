"""The server that a program holds: start, stop, and URLs of its databases."""

from __future__ import annotations

import atexit
import os
import re
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tenantry.embedded.cluster import SUPERUSER
from tenantry.embedded.launch import HOST, Run, Wish, end, launch, let_go
from tenantry.errors import EmbeddedServerError, ExtraMissing

try:
    import psycopg
    from psycopg import sql
except ImportError as missing:
    raise ExtraMissing(module="tenantry.embedded", extra="embedded") from missing

DATABASE = re.compile(r"[A-Za-z0-9_.~-]{1,63}")  # what stands in a URL as it is, for every driver alike


class PostgresServer:
    """A PostgreSQL server of one's own, which ends with its block or with the process that started it, however it ends.

    Without *directory* it is temporary: fast, without fsync, gone at the end. With one, data and password stay there
    and the next start finds them. *settings* are lines of postgresql.conf; *programs* is a directory with another
    PostgreSQL's ``postgres`` and ``initdb``.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        max_connections: int = 200,
        settings: Mapping[str, str] | None = None,
        programs: str | os.PathLike[str] | None = None,
    ) -> None:
        self._wish = Wish(
            directory=None if directory is None else Path(directory).absolute(),
            programs=None if programs is None else Path(programs).absolute(),
            settings={"max_connections": str(max_connections), **(settings or {})},
        )
        self._current: Run | None = None

    def __repr__(self) -> str:
        if self._current is None:
            return f"<PostgresServer stopped, {self._wish.directory or 'temporary'}>"
        return f"<PostgresServer {self.version} on {self.host}:{self.port}, {self.directory}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def start(self) -> Self:
        """Returns this server when it takes connections; one that runs already is left as it is.

        Raises: EmbeddedServerError; ExtraMissing when there is no PostgreSQL on this machine.
        """
        if self._current is None:
            self._current = launch(self._wish)
            _started.add(self)
            atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stops the server and removes what was temporary; a forked process leaves its parent's server alone."""
        run, self._current = self._current, None
        if run and run.starter == os.getpid():
            atexit.unregister(self.stop)
            end(run.keeper)

    def url(self, database: str = "postgres", *, login: str | None = None, password: str | None = None) -> str:
        """Returns the URL of *database*, made when missing, for the superuser or for *login*.

        Raises: EmbeddedServerError when the server does not run, or for a name that cannot stand in a URL.
        """
        if not DATABASE.fullmatch(database):
            reason = f"{database!r} is not 1 to 63 of a-z, A-Z, 0-9, '_', '-', '.' and '~'."
            raise EmbeddedServerError(action="make a database", reason=reason)
        self._create_if_missing(database)
        if login is None:
            return self._address(database, SUPERUSER, self._run.password)
        return self._address(database, login, password)

    @property
    def host(self) -> str:
        """The loopback address that the server listens on."""
        return HOST

    @property
    def port(self) -> int:
        """The TCP port, another one at each start."""
        return self._run.port

    @property
    def socket_directory(self) -> Path:
        """The directory of the Unix socket, closed to other accounts."""
        return self._run.sockets

    @property
    def directory(self) -> Path:
        """The directory that holds the data, the log and, unless temporary, the password."""
        return self._run.home

    @property
    def bin(self) -> Path:
        """The directory of the programs that run: postgres, psql, pg_dump and their like."""
        return self._run.programs

    @property
    def log(self) -> Path:
        """The server's log since its last start."""
        return self._run.home / "log"

    @property
    def version(self) -> str:
        """The version of PostgreSQL, such as ``18.6``."""
        return self._run.version

    @property
    def _run(self) -> Run:
        if self._current is None:
            raise EmbeddedServerError(action="answer", reason="it does not run. Call start(), or use a with block.")
        return self._current

    def _create_if_missing(self, database: str) -> None:
        with psycopg.connect(self._address("postgres", SUPERUSER, self._run.password), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                return
            try:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # another program made it in the same moment

    def _address(self, database: str, login: str, password: str | None) -> str:
        secret = "" if password is None else f":{quote(password, safe='')}"
        return f"postgresql://{quote(login, safe='')}{secret}@{self.host}:{self.port}/{database}"


_started: weakref.WeakSet[PostgresServer] = weakref.WeakSet()


def _let_go_after_fork() -> None:
    # A child that kept the pipe open would keep the server alive after the process that started it.
    for server in list(_started):
        if server._current:
            let_go(server._current.keeper)


os.register_at_fork(after_in_child=_let_go_after_fork)
