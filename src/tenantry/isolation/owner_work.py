"""How the owner's statements run on PostgreSQL: what it may do, whom it waits for, and what is said where it fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy.engine import URL

from tenantry.errors import ConfigurationError
from tenantry.isolation.wall import Capabilities

try:
    import psycopg
except ImportError:  # said in one sentence where the owner's connection is opened
    psycopg = None  # type: ignore[assignment]


def conninfo(url: URL) -> str:
    """Returns a URL as psycopg reads it, password and all."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def capabilities_of(connection: Any) -> Capabilities:
    """Returns what the owner of a psycopg connection may do."""
    question = "select rolsuper, rolbypassrls from pg_roles where rolname = current_user"
    superuser, bypass = connection.execute(question).fetchone()
    version = connection.info.server_version
    # Before 16 only a superuser may give BYPASSRLS away (PostgreSQL 16 release notes, CREATEROLE).
    return Capabilities(version, superuser, superuser or (bypass and version >= 160000))


def run_as_owner(connection: Any, statement: str) -> None:
    """Runs one statement.

    Raises: ConfigurationError where the owner may not.
    """
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        first_line = statement.splitlines()[0][:120]
        raise ConfigurationError(
            what=f"The owner's login may not do this: {error.diag.message_primary} ({first_line}).",
            fix="It needs CREATEROLE and to own the database. Where the roles belong to another installation of the "
            "same server, choose Config(role_prefix=...). A DBA can run `tenantry install --sql` instead.",
        ) from error


def run_until_alone(connection: Any, statement: str, attempts: int = 20) -> None:
    """Runs one statement on what the whole server shares, again where another database changes the same.

    Raises: ConfigurationError where the owner may not.
    """
    for attempt in range(attempts):
        try:
            run_as_owner(connection, statement)
        except psycopg.errors.InternalError_ as error:
            # "tuple concurrently updated": another database of this server is installing the same roles.
            if attempt + 1 == attempts or "concurrently" not in str(error):
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def told_of_locks(action: str) -> Iterator[None]:
    """Says what to do where the server's lock table is too small for what is done inside.

    Raises: ConfigurationError.
    """
    try:
        yield
    except psycopg.errors.OutOfMemory as error:
        raise ConfigurationError(
            what=f"{action} needs more locks than the server has room for: {error.diag.message_primary}.",
            fix="Raise max_locks_per_transaction in postgresql.conf and restart the server.",
        ) from error
