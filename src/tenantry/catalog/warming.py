"""The placements that are kept ready for tenants to come: made in advance, listed here, taken by a registration."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from tenantry.catalog.holder import has_let_go, held, this_process
from tenantry.catalog.tables import meta, now, warm
from tenantry.types import Isolation

MAKING: Final = "making"
READY: Final = "ready"
LEAVING: Final = "leaving"


@dataclass(frozen=True, slots=True)
class WarmPlacement:
    """A placement whose tenant is yet to come: its identifier is decided, at *head* its tables stand."""

    id: uuid.UUID
    server: str
    isolation: Isolation
    physical: str
    head: str | None
    state: str


def enter(connection: Connection, placement: WarmPlacement, *, size: int) -> bool:
    """Notes a placement that is about to be made, unless there are *size* of its kind already."""
    # As in register(): two processes that fill one pool wait for each other here.
    connection.execute(select(meta.c.value).where(meta.c.name == "version").with_for_update())
    alike = _alike(placement.server, placement.isolation, placement.head)
    kept = and_(alike, warm.c.state.in_((MAKING, READY)))
    if connection.execute(select(func.count()).select_from(warm).where(kept)).scalar_one() >= size:
        return False
    place = {"server": placement.server, "isolation": placement.isolation, "physical": placement.physical}
    connection.execute(insert(warm).values(id=placement.id, head=placement.head, state=MAKING, **place, **held()))
    return True


def make_ready(connection: Connection, placement: uuid.UUID) -> None:
    """Notes that a placement is made and may be taken."""
    making = and_(warm.c.id == placement, warm.c.state == MAKING, warm.c.holder == this_process())
    connection.execute(update(warm).where(making).values(state=READY))


def take(connection: Connection, server: str, isolation: Isolation, head: str | None) -> tuple[uuid.UUID, str] | None:
    """Takes a ready placement off the list and returns its identifier and physical name; SQLite's way."""
    ready = and_(_alike(server, isolation, head), warm.c.state == READY)
    row = connection.execute(select(warm.c.id, warm.c.physical).where(ready).order_by(warm.c.id).limit(1)).one_or_none()
    if row is None:
        return None
    connection.execute(delete(warm).where(warm.c.id == row.id))
    return row.id, row.physical


def listing(connection: Connection, *, states: Collection[str] = (READY,)) -> list[WarmPlacement]:
    """Returns the placements in one of *states*, the oldest first."""
    columns = (warm.c.id, warm.c.server, warm.c.isolation, warm.c.physical, warm.c.head, warm.c.state)
    rows = connection.execute(select(*columns).where(warm.c.state.in_(states)).order_by(warm.c.id))
    return [WarmPlacement(r.id, r.server, Isolation(r.isolation), r.physical, r.head, r.state) for r in rows]


def withdraw(connection: Connection, placement: WarmPlacement) -> bool:
    """Takes a placement out of reach before it is dropped; False where a tenant, or somebody else, has it by now."""
    seen = and_(warm.c.id == placement.id, warm.c.state == placement.state)
    if placement.state != READY:
        holder = connection.execute(select(warm.c.holder, warm.c.lease_until).where(seen)).one_or_none()
        if holder is None or not _is_free(holder):
            return False
        seen = and_(seen, warm.c.holder == holder.holder)
    return bool(connection.execute(update(warm).where(seen).values(state=LEAVING, **held())).rowcount)


def forget(connection: Connection, placement: uuid.UUID) -> None:
    """Strikes a placement that is gone off the list."""
    connection.execute(delete(warm).where(warm.c.id == placement))


def note_head(connection: Connection, placement: uuid.UUID, head: str | None) -> None:
    """Notes at which revision a placement stands now."""
    connection.execute(update(warm).where(warm.c.id == placement).values(head=head))


def _alike(server: str, isolation: Isolation, head: str | None) -> ColumnElement[bool]:
    return and_(warm.c.server == server, warm.c.isolation == isolation, warm.c.head.is_not_distinct_from(head))


def _is_free(row: Any) -> bool:
    return has_let_go(row.holder, expired=row.lease_until < now())
