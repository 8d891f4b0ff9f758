"""Whether a transaction was committed whose process was killed: PostgreSQL remembers by number, a file by a row."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from sqlalchemy import Connection

from tenantry.catalog.operations import Course
from tenantry.errors import RestoreRefused
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import COMMON, SqliteServer
from tenantry.tenancy import Tenancy
from tenantry.types import Isolation, Tenant

# In an operation's detail: the number of the transaction that does its work.
XID: Final = "xid"
_MARKS: Final = "tenantry_restored"
# For so long a server may take to notice that a client has gone.
_PATIENCE: Final = 30.0


def mark(connection: Connection, course: Course, **detail: Any) -> None:
    """Notes, as the last thing before a transaction is committed, what tells afterwards whether it was."""
    if connection.dialect.name == "postgresql":
        number = connection.exec_driver_sql("SELECT pg_current_xact_id()::text").scalar_one()
        course.step("commit", **{XID: number}, **detail)
        return
    connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {_MARKS} (operation TEXT PRIMARY KEY)")
    connection.exec_driver_sql(f"INSERT INTO {_MARKS} VALUES (?)", (course.id.hex,))
    course.step("commit", **{XID: "marked"}, **detail)


def was_committed(tenancy: Tenancy, tenant: Tenant, course: Course) -> bool:
    """Whether the transaction was committed that an operation had marked.

    Raises: RestoreRefused while its server still has it open.
    """
    number = course.detail.get(XID)
    if number is None:
        return False
    server = tenancy.servers.get(tenant.server)
    if isinstance(server, SqliteServer):
        return _is_marked(server, tenant, course.id)
    return _ended_well(server, tenant, course, number)


def unmark(tenancy: Tenancy, tenant: Tenant, course: Course) -> None:
    """Removes the mark again; doing so twice is safe."""
    server = tenancy.servers.get(tenant.server)
    if not isinstance(server, SqliteServer):
        return
    with server.connection(_file(tenant)) as connection:
        if not _stands(connection):
            return
        connection.exec_driver_sql(f"DELETE FROM {_MARKS} WHERE operation = ?", (course.id.hex,))
        if not connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM {_MARKS})").scalar():
            connection.exec_driver_sql(f"DROP TABLE {_MARKS}")


def _ended_well(server: PostgresServer, tenant: Tenant, course: Course, number: str) -> bool:
    end, question = time.monotonic() + _PATIENCE, "select pg_xact_status(%s::text::xid8)"
    with server.owner(action="Looking for a restore") as connection:
        while (status := connection.execute(question, (number,)).fetchone()[0]) == "in progress":
            if time.monotonic() > end:
                reason = "its transaction has not ended on the server. Wait until it has, or end it there."
                raise RestoreRefused(name=course.detail["archive"], tenant=tenant.id, reason=reason)
            time.sleep(0.05)
    return bool(status == "committed")


def _is_marked(server: SqliteServer, tenant: Tenant, operation: uuid.UUID) -> bool:
    if not server.file(_file(tenant)).exists():
        return False
    with server.connection(_file(tenant)) as connection:
        found = f"SELECT 1 FROM {_MARKS} WHERE operation = ?"
        return _stands(connection) and connection.exec_driver_sql(found, (operation.hex,)).first() is not None


def _stands(connection: Connection) -> bool:
    found = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (_MARKS,))
    return found.first() is not None


def _file(tenant: Tenant) -> str:
    return COMMON if tenant.isolation is Isolation.ROWS else tenant.physical
