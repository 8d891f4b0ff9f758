"""The fence: it holds one tenant's writers while the tenant is moved or restored, and turns late ones away.

It costs nothing where nobody is moved: it stands only for as long as it is needed. In its order::

    prepare(server, tenant)                    from now on changes are noted; everybody goes on
    with catching(server, tenant) as round:    what has changed is copied, as often as is worth it
        round.changes(limit=1000)
    with closed(server, tenant, departing=True) as fence:
        fence.changes(); fence.connection      new writers wait, old ones have ended; readers go on
    take_down(server, tenant)                  a tombstone stays where the tenant has left
    lift(server, tenant)                       nothing stays

What is behind a fence is one open transaction: when it is undone, also by the death of its process, the tenant is
open again as if nothing had been. ``tenant`` says where: a ``Tenant`` whose placement is the fenced one.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from tenantry.isolation import fencing_postgres, fencing_sqlite
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.servers import Server
from tenantry.types import Tenant

# The own key columns of a row, without the tenant, each as canonical text.
Key = tuple[str, ...]
Changes = Mapping[str, set[Key]]


@dataclass(frozen=True, slots=True)
class Fenced:
    """A transaction at a fenced place, by a login that sees the tenant's rows; it commits with its ``with`` block."""

    connection: Connection
    _server: Server
    _tenant: Tenant

    def changes(self, *, limit: int | None = None) -> Changes:
        """Takes the keys of rows that were changed out of the log, by table, the oldest first.

        Empty where there are no more; they are in the log again if the transaction is rolled back.
        """
        if isinstance(self._server, PostgresServer):
            return fencing_postgres.take_changes(self.connection, self._server, self._tenant, limit=limit)
        return fencing_sqlite.take_changes(self.connection, self._server, self._tenant, limit=limit)


@dataclass(frozen=True, slots=True)
class Standing:
    """A fence that stands at a place, or the tombstone of a tenant that has left it."""

    tenant: uuid.UUID
    place: str
    departed: bool


def prepare(server: Server, tenant: Tenant, *, patience: float = 30.0, wait: float = 10.0) -> None:
    """Has a place note its tenant's changes from now on, and ready to be fenced; doing it again is safe.

    Args:
        patience: for how many seconds each table is tried for while others use it.
        wait: for how many seconds a writer is held at the fence before it gets TenantMoving; PostgreSQL only, in SQLite
            a writer waits as for any other.

    Raises: FenceBusy, LoginRequired.
    """
    if isinstance(server, PostgresServer):
        fencing_postgres.prepare(server, tenant, patience=patience, wait=wait)
    else:
        fencing_sqlite.prepare(server, tenant)


@contextlib.contextmanager
def catching(server: Server, tenant: Tenant) -> Iterator[Fenced]:
    """Opens a transaction for a round of catching up: changes taken out of the log, their rows read after that."""
    with _catching(server, tenant) as connection:
        yield Fenced(connection, server, tenant)


@contextlib.contextmanager
def closed(server: Server, tenant: Tenant, *, patience: float = 10.0, departing: bool = False) -> Iterator[Fenced]:
    """Puts the fence up for a ``with`` block: the tenant's writers have ended, and new ones wait.

    Args:
        patience: for how many seconds its writers' transactions are waited for, in short tries.
        departing: whether the place refuses the tenant's sessions, once the block has ended without an error.

    Raises: FenceBusy, and then nothing was changed; MoveRefused where ``prepare`` has not been.
    """
    room = fencing_postgres.closed if isinstance(server, PostgresServer) else fencing_sqlite.closed
    with room(server, tenant, patience=patience, departing=departing) as connection:  # type: ignore[arg-type]  # its own
        yield Fenced(connection, server, tenant)


def reopen(server: Server, tenant: Tenant) -> None:
    """Lets a tenant's sessions in again where it had left; its changes are noted as before."""
    if isinstance(server, PostgresServer):
        fencing_postgres.reopen(server, tenant)
    else:
        fencing_sqlite.reopen(server, tenant)


def take_down(server: Server, tenant: Tenant, *, patience: float = 30.0) -> None:
    """Takes away what notes changes and holds writers; doing it again is safe.

    Where the tenant has left, its tombstone stays: sessions that still look for it there get TenantMoved.

    Raises: FenceBusy, LoginRequired.
    """
    _take_down(server, tenant, patience, entirely=False)


def lift(server: Server, tenant: Tenant, *, patience: float = 30.0) -> None:
    """Takes the tombstone away too: for a place that is gone, or that nobody can know any more.

    Raises: FenceBusy, LoginRequired.
    """
    _take_down(server, tenant, patience, entirely=True)


def standing(server: Server, tenant: Tenant | None = None) -> list[Standing]:
    """Returns the fences and tombstones in the common home of a server, or where *tenant* is, the oldest first."""
    if isinstance(server, PostgresServer):
        found = fencing_postgres.fences(server, tenant)
    else:
        found = fencing_sqlite.fences(server, tenant)
    return [Standing(*fence) for fence in found]


def tombstones(server: Server, tenant: Tenant | None = None) -> list[Standing]:
    """Returns those of them whose tenant has left."""
    return [fence for fence in standing(server, tenant) if fence.departed]


def _catching(server: Server, tenant: Tenant) -> contextlib.AbstractContextManager[Connection]:
    if isinstance(server, PostgresServer):
        return fencing_postgres.catching(server, tenant)
    return fencing_sqlite.catching(server, tenant)


def _take_down(server: Server, tenant: Tenant, patience: float, *, entirely: bool) -> None:
    if isinstance(server, PostgresServer):
        fencing_postgres.take_down(server, tenant, patience=patience, entirely=entirely)
    else:
        fencing_sqlite.take_down(server, tenant, entirely=entirely)
