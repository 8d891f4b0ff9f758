"""The schedules of backups: when each tenant's next one is due, who has it in hand, and how the last one ended."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from tenantry.catalog.holder import has_let_go, held
from tenantry.catalog.tables import meta, moment, schedules, tenants
from tenantry.types import TenantStatus

# Whose schedule is followed for every tenant that has none of its own.
EVERY_TENANT: Final = uuid.UUID(int=0)
ACTIVE: Final = "active"
PAUSED: Final = "paused"

_ENDED: Final[dict[str, Any]] = {"holder": None, "worker": None, "lease_until": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a tenant is backed up, how it went last, and since when it fails; *worker* has a turn of it in hand."""

    tenant_id: uuid.UUID
    state: str
    own: bool
    store: str
    every: float
    jitter: float
    options: Mapping[str, Any]
    due_at: datetime.datetime
    began_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    failures: int
    error: str | None
    worker: uuid.UUID | None
    created_at: datetime.datetime

    @property
    def anchor(self) -> datetime.datetime:
        """The moment that every turn is counted from."""
        return self.created_at


_COLUMNS: Final = tuple(schedules.c[each.name] for each in fields(Schedule))


def put(connection: Connection, tenant: uuid.UUID, *, delay: float, **plan: Any) -> None:
    """Sets a tenant's schedule, in the place of the one it had; a turn in hand goes on and counts as the first.

    *plan* is ``store, every, jitter, options``; the first turn is due after *delay* seconds.
    """
    _one_at_a_time(connection)
    fresh = {**plan, "state": ACTIVE, "own": True, "due_at": moment(connection, delay), "failures": 0, "error": None}
    same = schedules.c.tenant_id == tenant
    if not connection.execute(update(schedules).where(same).values(**fresh, created_at=moment(connection))).rowcount:
        connection.execute(insert(schedules).values(tenant_id=tenant, created_at=moment(connection), **fresh))
    if tenant == EVERY_TENANT:
        # Those that follow it begin anew by the new plan.
        connection.execute(delete(schedules).where(schedules.c.own.is_(False), schedules.c.worker.is_(None)))


def drop(connection: Connection, tenant: uuid.UUID) -> bool:
    """Cancels a tenant's schedule; False where it had none. That of every tenant goes with all that followed it."""
    gone = schedules.c.tenant_id == tenant
    if tenant == EVERY_TENANT:
        gone = or_(gone, schedules.c.own.is_(False))
    return bool(connection.execute(delete(schedules).where(gone)).rowcount)


def set_state(connection: Connection, tenant: uuid.UUID, state: str) -> bool:
    """Pauses a schedule, or lets it go on; False where there is none. Who follows that of every tenant goes along."""
    meant = schedules.c.tenant_id == tenant
    if tenant == EVERY_TENANT:
        meant = or_(meant, schedules.c.own.is_(False))
    return bool(connection.execute(update(schedules).where(meant).values(state=state)).rowcount)


def listing(connection: Connection) -> list[Schedule]:
    """Returns every schedule, the next one due first."""
    return _found(connection, [])


def get(connection: Connection, tenant: uuid.UUID) -> Schedule | None:
    """Returns a tenant's schedule."""
    found = _found(connection, [schedules.c.tenant_id == tenant])
    return found[0] if found else None


def follow(connection: Connection, delays: Mapping[uuid.UUID, float]) -> None:
    """Gives tenants that have no schedule that of every tenant, each first due after so many seconds."""
    _one_at_a_time(connection)
    pattern = get(connection, EVERY_TENANT)
    if pattern is None:
        return
    taken = set(connection.scalars(select(schedules.c.tenant_id).where(schedules.c.tenant_id.in_(delays))))
    same = {name: getattr(pattern, name) for name in ("state", "store", "every", "jitter", "options")}
    at = present(connection)
    rows = [
        {"tenant_id": tenant, "own": False, **same, "created_at": at, "due_at": at + datetime.timedelta(seconds=delay)}
        for tenant, delay in delays.items()
        if tenant not in taken
    ]
    if rows:
        connection.execute(insert(schedules), rows)


def strangers(connection: Connection, limit: int) -> list[uuid.UUID]:
    """Returns active tenants that have no schedule at all."""
    bare = select(tenants.c.id).outerjoin(schedules, schedules.c.tenant_id == tenants.c.id)
    bare = bare.where(tenants.c.status == TenantStatus.ACTIVE, schedules.c.tenant_id.is_(None))
    return list(connection.scalars(bare.order_by(tenants.c.id).limit(limit)))


def part_with_erased(connection: Connection) -> None:
    """Strikes out the schedules of tenants that are no more."""
    erased = select(tenants.c.id).where(tenants.c.status == TenantStatus.ERASED)
    connection.execute(delete(schedules).where(schedules.c.tenant_id.in_(erased)))


def claim(connection: Connection, store: str, worker: uuid.UUID) -> Schedule | None:
    """Takes the turn that is due longest; nobody else gets it until ``finish``, or until this process has gone."""
    waiting = and_(
        schedules.c.store == store,
        schedules.c.state == ACTIVE,
        schedules.c.tenant_id != EVERY_TENANT,
        schedules.c.worker.is_(None),
        schedules.c.due_at <= moment(connection),
    )
    # Suspended tenants wait; nothing is written there.
    active = select(tenants.c.id).where(tenants.c.status == TenantStatus.ACTIVE)
    due = select(schedules.c.tenant_id).where(waiting, schedules.c.tenant_id.in_(active))
    due = due.order_by(schedules.c.due_at).limit(1).with_for_update(skip_locked=True, of=schedules)
    tenant = connection.scalar(due)
    if tenant is None:
        return None
    taken = {"worker": worker, "began_at": moment(connection), **held()}
    connection.execute(update(schedules).where(schedules.c.tenant_id == tenant).values(**taken))
    return get(connection, tenant)


def renew(connection: Connection, workers: Collection[uuid.UUID]) -> None:
    """Holds turns longer."""
    lease = {"lease_until": held()["lease_until"]}
    connection.execute(update(schedules).where(schedules.c.worker.in_(workers)).values(**lease))


def finish(connection: Connection, worker: uuid.UUID, *, due_at: datetime.datetime, error: str | None) -> bool:
    """Ends a turn and says when the next one is due; False where it was cancelled, or taken over, meanwhile."""
    failures = 0 if error is None else schedules.c.failures + 1
    ended = {"due_at": due_at, "ended_at": moment(connection), "error": error, "failures": failures, **_ENDED}
    return bool(connection.execute(update(schedules).where(schedules.c.worker == worker).values(**ended)).rowcount)


def sweep(connection: Connection, *, at_work: Collection[uuid.UUID], mine: str) -> int:
    """Frees the turns that the dead left in hand, and returns how many that were; *at_work* live in this process."""
    columns = (schedules.c.holder, schedules.c.worker, schedules.c.lease_until < moment(connection))
    freed = 0
    for holder, worker, expired in connection.execute(select(*columns).where(schedules.c.worker.is_not(None))).all():
        if worker not in at_work if holder == mine else has_let_go(holder, expired=expired):
            lost = {"failures": schedules.c.failures + 1, "error": "Its process ended before it did.", **_ENDED}
            theirs = and_(schedules.c.worker == worker, schedules.c.holder == holder)
            freed += connection.execute(update(schedules).where(theirs).values(**lost)).rowcount
    return freed


def present(connection: Connection) -> datetime.datetime:
    """Returns the catalog's own time."""
    if connection.dialect.name != "postgresql":
        found: datetime.datetime = moment(connection)
        return found
    asked: datetime.datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return asked


def _found(connection: Connection, wanted: Sequence[ColumnElement[bool]]) -> list[Schedule]:
    rows = connection.execute(select(*_COLUMNS).where(*wanted).order_by(schedules.c.due_at, schedules.c.tenant_id))
    return [Schedule(**row._mapping) for row in rows]


def _one_at_a_time(connection: Connection) -> None:
    # As in warming.enter(): two that set one schedule at once wait for each other here.
    connection.execute(select(meta.c.value).where(meta.c.name == "version").with_for_update())
