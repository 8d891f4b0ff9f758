"""A PostgreSQL database kept ready to be copied for each tenant that gets one of its own."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from tenantry.isolation.blueprints import Blueprint
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.wall import quote

_ACTION: Final = "Making the template of tenants' databases"
_PREFIX: Final = "tenantry_template_"
# The signed 64-bit key of one lock of the home database: one process makes templates there, the others wait.
_LOCK: Final = 0x74656E616E740A01
# The one in use and the one before it, from which processes of the last release still copy.
_KEPT: Final = 2

_READY: Final = """
select 1 from pg_database where datname = %s and not datallowconn and shobj_description(oid, 'pg_database') = %s
"""
_ALL: Final = """
select datname from pg_database where shobj_description(oid, 'pg_database') = %s and datname <> %s order by oid desc
"""


def template_mark(home: str) -> str:
    """Returns the comment on an installation's templates; *home* is the database of its common tables."""
    return f"tenantry template: {home}"


def template_name(home: str, blueprint: Blueprint) -> str:
    """Returns the name of the template of one installation, models and revision: no other content ever bears it."""
    return _PREFIX + hashlib.sha256(f"{home}\n{blueprint.digest}".encode()).hexdigest()[:16]


def ready_template(server: PostgresServer, connection: Any, blueprint: Blueprint) -> str:
    """Returns the name of a template of that blueprint, made first where there is none; *connection* is the owner's.

    Nobody can connect to it, so nothing in it changes and nothing stands in the way of copying it.
    """
    name = template_name(server.database, blueprint)
    if _is_ready(connection, server, name):
        return name
    connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
    try:
        if not _is_ready(connection, server, name):
            _make(server, connection, name, blueprint)
    finally:
        connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")
    return name


def drop_templates(server: PostgresServer, connection: Any, *, keep: int = 0, sparing: str = "") -> None:
    """Drops an installation's templates but for the *keep* newest and the one named."""
    mark = template_mark(server.database)
    for (name,) in connection.execute(_ALL, (mark, sparing)).fetchall()[keep:]:
        connection.execute(f"DROP DATABASE IF EXISTS {quote(name)}")


def _is_ready(connection: Any, server: PostgresServer, name: str) -> bool:
    return connection.execute(_READY, (name, template_mark(server.database))).fetchone() is not None


def _make(server: PostgresServer, connection: Any, name: str, blueprint: Blueprint) -> None:
    # What a crash left has no mark, and may be half made.
    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY wal_log")
    connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    server.run(blueprint.database, action=_ACTION, database=name)
    server.publish_shared(name)
    mark = template_mark(server.database).replace("'", "''")
    with connection.transaction():
        connection.execute(f"COMMENT ON DATABASE {name} IS '{mark}'; ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    drop_templates(server, connection, keep=_KEPT - 1, sparing=name)
