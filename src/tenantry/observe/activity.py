"""What tenants' transactions do on a PostgreSQL server right now, of every process: who runs, who waits, for whom."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text

from tenantry.isolation.binding import UNBOUND
from tenantry.isolation.hooks import bound
from tenantry.isolation.postgres import APP, PostgresServer
from tenantry.observe.wording import shown
from tenantry.session.core import TenantSession

_ACTION: Final = "Looking at what runs"
# Every transaction of a tenant says whose it is in its application_name.
_MARK: Final = "tenantry:"

_RUNNING: Final = text("""
SELECT a.pid, a.application_name AS mark, a.state, a.query, coalesce(a.wait_event_type, '') AS waits,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float AS seconds,
       CASE WHEN a.state = 'active'
            THEN extract(epoch FROM clock_timestamp() - a.query_start) ELSE 0 END::float AS statement_seconds,
       CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by
FROM pg_stat_activity a
WHERE a.application_name LIKE 'tenantry:%' AND a.pid <> pg_backend_pid()
ORDER BY a.xact_start
""")
_LOCKS: Final = text("""
SELECT c.relname AS name, l.mode, l.granted, count(*) AS number
FROM pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid
JOIN pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND a.application_name = :mark AND a.pid <> pg_backend_pid()
GROUP BY 1, 2, 3 ORDER BY l.granted, 1, 2
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One transaction of a tenant on a server: *state* is the server's word, *statement* holds no values.

    *seconds* is how old the transaction is, *statement_seconds* how long its statement has run, 0 between statements.
    """

    server: str
    tenant: uuid.UUID
    pid: int
    state: str
    seconds: float
    statement_seconds: float
    waiting: bool
    blocked_by: Sequence[int]
    statement: str


@dataclass(frozen=True, slots=True)
class Lock:
    """The locks of one kind that a tenant's transactions hold on a table, or wait for."""

    table: str
    mode: str
    granted: bool
    count: int


def running(server: PostgresServer) -> list[Running]:
    """Returns the transactions of tenants on a server, of every installation there, the oldest first.

    The app's login sees its own whole; of another's, that they are there.
    """
    engine = server.engine(APP, action=_ACTION, prepared=server.config.prepared_statements)
    # As the login itself: a role that a development server's is demoted to sees nobody's.
    with bound(engine, UNBOUND) as connection:
        rows = connection.execute(_RUNNING).all()
    return [_running(server.name, row) for row in rows if _tenant_of(row.mark)]


def locks(session: TenantSession) -> list[Lock]:
    """Returns the locks on tables that other transactions of the session's tenant have or wait for; none on SQLite."""
    if session.get_bind().dialect.name != "postgresql":
        return []
    rows = session.execute(_LOCKS, {"mark": f"{_MARK}{session.tenant.id}"})
    return [Lock(row.name, row.mode, row.granted, row.number) for row in rows]


def _running(server: str, row: Any) -> Running:
    return Running(
        server=server,
        tenant=uuid.UUID(row.mark.removeprefix(_MARK)),
        pid=row.pid,
        # NULL for those of another login, unless this one may read all statistics.
        state=row.state or "hidden",
        seconds=row.seconds,
        statement_seconds=row.statement_seconds,
        waiting=row.waits == "Lock",
        blocked_by=tuple(row.blocked_by),
        statement=shown(row.query) if row.state else "",
    )


def _tenant_of(mark: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(mark.removeprefix(_MARK))
    except ValueError:
        return None
