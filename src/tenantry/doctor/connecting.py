"""Connections of the doctor's own: one read-only transaction each, and one question to a pooler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Connection
from sqlalchemy.engine import URL, create_engine
from sqlalchemy.pool import NullPool

from tenantry.errors import ExtraMissing

try:
    import psycopg
except ImportError:  # said in one sentence when a PostgreSQL server is to be examined
    psycopg = None  # type: ignore[assignment]

_PATIENCE_SECONDS = 10


@contextlib.contextmanager
def reading(url: URL) -> Iterator[Connection]:
    """Opens one transaction that cannot change anything.

    Raises: SQLAlchemy's OperationalError when the server does not let the login in; ExtraMissing.
    """
    if psycopg is None:
        raise ExtraMissing(module="Examining a PostgreSQL server", extra="postgres")
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        hide_parameters=True,
        isolation_level="REPEATABLE READ",
        connect_args={"connect_timeout": _PATIENCE_SECONDS},
        execution_options={"postgresql_readonly": True},
    )
    try:
        with engine.connect() as connection, connection.begin():
            # Names are then written with their schema, and nothing of the database's own is found by accident.
            connection.exec_driver_sql("SET LOCAL search_path = ''")
            connection.exec_driver_sql("SET LOCAL statement_timeout = '60s'")
            yield connection
    finally:
        engine.dispose()


def pooler_version(url: URL) -> str | None:
    """Returns what a PgBouncer at this address says of itself; None if none does.

    It answers its administrators and statistics users alone.
    """
    conninfo = url.set(drivername="postgresql", database="pgbouncer").render_as_string(hide_password=False)
    try:
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=_PATIENCE_SECONDS) as connection:
            answer = connection.execute("SHOW VERSION").fetchone()
    except psycopg.Error:
        return None
    return str(answer[0]) if answer else None
