"""The statements of a relay on a tenant's stream: the lease, the numbers, what is due, and what became of it."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql

from tenantry.errors import StreamLost
from tenantry.models import TENANT_COLUMN
from tenantry.outbox.events import ENDED, PENDING, STREAM, Event, EventState, Tables
from tenantry.session.clock import moment, on_postgresql
from tenantry.session.core import TenantSession


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one relay to deliver a tenant's events, for so many seconds after each sign of life."""

    token: uuid.UUID
    seconds: float


class Sight(enum.Enum):
    """What a look at a stream shows: nothing that is due, events that are, or such that another is delivering."""

    NOTHING = 0
    DUE = 1
    HELD = 2


class Streams:
    """What a relay does in its own short transactions, each of them on the session's tenant alone."""

    def __init__(self, tables: Tables) -> None:
        self._events = tables.events
        self._streams = tables.streams

    def look(self, session: TenantSession) -> Sight:
        """Returns whether there is something to deliver; it writes and locks nothing."""
        stream, now = self._mine(self._streams, session), moment(session)
        waiting = exists().where(self._mine(self._events, session), self._events.c.state.in_(PENDING))
        held = exists().where(stream, self._streams.c.holder.is_not(None), self._streams.c.lease_until > now)
        resting = exists().where(stream, self._streams.c.due_at > now)
        row = session.execute(select(waiting, held, resting)).one()
        if not row[0] or row[2]:
            return Sight.NOTHING
        return Sight.HELD if row[1] else Sight.DUE

    def take(self, session: TenantSession, lease: Lease) -> bool:
        """Takes the stream, or prolongs its lease, unless another has it or it is put off."""
        return self._lease(session, lease) or (self._begin(session) and self._lease(session, lease))

    def renew(self, session: TenantSession, lease: Lease) -> None:
        """Prolongs the lease, and keeps everybody else from the stream until the transaction ends.

        Raises: StreamLost when another has taken over.
        """
        if not self._hold(session, lease, lease_until=moment(session, later=lease.seconds)):
            raise StreamLost(tenant=session.tenant.id)

    def release(self, session: TenantSession, lease: Lease, *, due_in: float | None = None) -> None:
        """Lets go of a stream that is still held; it is due again after so many seconds."""
        due_at = None if due_in is None else moment(session, later=due_in)
        self._hold(session, lease, holder=None, lease_until=None, due_at=due_at)

    def number(self, session: TenantSession, *, limit: int) -> None:
        """Gives the next numbers to events that have none.

        Only who holds the stream does so, and only to events that are there for all to see: no lower number can
        appear behind a higher one, whichever transaction ended first.
        """
        columns = self._events.c
        new = select(columns.id).where(self._mine(self._events, session), columns.state == EventState.NEW)
        ids = session.scalars(new.order_by(columns.position, columns.id).limit(limit)).all()
        if not ids:
            return
        last = self._advance(session, len(ids)) - len(ids)
        numbered = update(self._events).where(self._mine(self._events, session), columns.id == bindparam("event"))
        rows = [{"event": event, "given": last + place} for place, event in enumerate(ids, 1)]
        session.execute(numbered.values(number=bindparam("given"), state=EventState.WAITING), rows)

    def due(self, session: TenantSession, *, limit: int, skipping: bool) -> list[Event]:
        """Returns the next events in order, none from behind a parked one unless *skipping*."""
        columns, mine = self._events.c, self._mine(self._events, session)
        waiting = select(self._events).where(mine, columns.state == EventState.WAITING)
        if not skipping:
            parked = select(func.min(columns.number)).where(mine, columns.state == EventState.PARKED)
            waiting = waiting.where(columns.number < func.coalesce(parked.scalar_subquery(), columns.number + 1))
        return [Event.of(row) for row in session.execute(waiting.order_by(columns.number).limit(limit))]

    def note(self, session: TenantSession, event: Event, state: EventState, **facts: Any) -> None:
        """Writes down what became of an event."""
        values = {"state": state, "ended_at": moment(session) if state in ENDED else None, **facts}
        mine = self._mine(self._events, session)
        session.execute(update(self._events).where(mine, self._events.c.id == event.id).values(**values))

    def _lease(self, session: TenantSession, lease: Lease) -> bool:
        columns, mine = self._streams.c, self._mine(self._streams, session)
        free = self._is_free(session) | (columns.holder == lease.token)
        # Not waiting for a handler that has the stream's row locked in its transaction.
        found = select(columns[TENANT_COLUMN]).where(mine, free).with_for_update(skip_locked=True)
        taken = update(self._streams).where(mine, columns[TENANT_COLUMN].in_(found))
        values = {"holder": lease.token, "lease_until": moment(session, later=lease.seconds), "due_at": None}
        return _found(session, taken.values(**values).returning(columns.number))

    def _begin(self, session: TenantSession) -> bool:
        row = {TENANT_COLUMN: session.tenant.id, "name": STREAM, "number": 0}
        if on_postgresql(session):
            begun = postgresql.insert(self._streams).values(row).on_conflict_do_nothing()
            return _found(session, begun.returning(self._streams.c.number))
        if _found(session, select(self._streams.c.number).where(self._mine(self._streams, session))):
            return False
        session.execute(insert(self._streams).values(row))
        return True

    def _hold(self, session: TenantSession, lease: Lease, **values: Any) -> bool:
        held = self._mine(self._streams, session) & (self._streams.c.holder == lease.token)
        statement = update(self._streams).where(held).values(**values)
        return _found(session, statement.returning(self._streams.c.number))

    def _advance(self, session: TenantSession, count: int) -> int:
        column = self._streams.c.number
        statement = update(self._streams).where(self._mine(self._streams, session)).values(number=column + count)
        session.execute(statement)
        return int(session.scalars(select(column).where(self._mine(self._streams, session))).one())

    def _is_free(self, session: TenantSession) -> ColumnElement[bool]:
        columns, now = self._streams.c, moment(session)
        unheld: ColumnElement[bool] = columns.holder.is_(None) | (columns.lease_until <= now)
        rested: ColumnElement[bool] = columns.due_at.is_(None) | (columns.due_at <= now)
        return unheld & rested

    def _mine(self, table: Any, session: TenantSession) -> ColumnElement[bool]:
        mine: ColumnElement[bool] = table.c[TENANT_COLUMN] == session.tenant.id
        return mine


def _found(session: TenantSession, statement: Any) -> bool:
    rows: Sequence[Any] = session.execute(statement).all()
    return bool(rows)
