"""Incidents in every cell: two tenants with the same words, and sessions of one of them through each door."""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path
from typing import Any

from cells import CELLS, Place
from sqlalchemy import select

from tenantry.packs.incidents import (
    Event,
    Incident,
    Incidents,
    IncidentsBase,
    Workflow,
    repositories,
    rows,
    rows_control,
)

from .. import ground
from ..ground import Bound

MORNING = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)
# Every cell, and every door; all of both together take longer.
PLACES = [
    Place("postgresql-rows", "sync"),
    Place("postgresql-rows", "asyncpg"),
    Place("postgresql-schema", "psycopg"),
    Place("postgresql-database", "asyncpg"),
    Place("sqlite-file", "sync"),
    Place("sqlite-rows", "aiosqlite"),
]
AWAITED = [place for place in PLACES if place.door != "sync"]


class Desk(ground.Desk):
    """A session of one tenant."""

    @property
    def tenant_id(self) -> uuid.UUID:
        return self.session.info["tenant"].id

    def repository(self, name: str, **options: Any) -> Any:
        if self.awaited:
            return self.plain(getattr(repositories, f"{name}Repository")(self.session, **options))
        found = getattr(rows, f"{name}Rows", None) or getattr(rows_control, f"{name}Rows")
        return found(self.session, **options)

    def billing(self) -> Workflow:
        """Returns the workflow that is in use."""
        return self.run(lambda session: session.scalars(select(Workflow).filter_by(name="billing")).one())

    def told(self, **values: Any) -> dict[str, Any]:
        """Returns the values of an event."""
        known = {
            "workflow_id": self.billing().id,
            "event_type": "payment.failed",
            "payload": {"error_code": "card_declined"},
            "idempotency_key": uuid.uuid4().hex,
            "occurred_at": MORNING,
        }
        return {**known, **values}

    def flow(self) -> Any:
        """Returns the steps of the flow behind one spelling: the session is given already."""
        return Bound(self.plain(self.pack.flow.aio if self.awaited else self.pack.flow), self.session)


class Ground(ground.Ground):
    """In each cell ``acme-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    # The last one is whose rows are committed: the others are found as they were.
    sides = ("acme", "rival", "writer")
    door = Desk

    def __init__(self, server: Any, directory: Path) -> None:
        super().__init__(server, directory, IncidentsBase, Incidents)

    def settle_all(self) -> None:
        for name in ("sqlite", "psycopg"):
            self.packs[name].prepare()
        super().settle_all()

    def settle(self, place: Place, side: str) -> None:
        tenancy, slug = self.tenancy(place), self.key(place, side)
        tenancy.tenants.create(slug, isolation=CELLS[place.cell], record={"name": side})
        with tenancy.transaction(slug) as session:
            billing = Workflow(name="billing", description=side)
            session.add_all([billing, Workflow(name="old", is_active=False)])
            session.flush()
            session.add_all(event_of(billing, number=number) for number in range(1, 4))
            session.add_all(
                Incident(signature=f"s-{number}", title=side, created_at=MORNING + datetime.timedelta(hours=number))
                for number in range(1, 4)
            )


def event_of(workflow: Workflow, *, number: int) -> Event:
    at = MORNING + datetime.timedelta(hours=number)
    return Event(workflow_id=workflow.id, event_type="payment.failed", idempotency_key=f"k-{number}", occurred_at=at)


class Units:
    """The units of work of a tenant, through one door, behind one spelling."""

    def __init__(self, ground: Ground, place: Place, side: str = "writer") -> None:
        self.ground = ground
        self.place = place
        self.pack = ground.pack(place)
        self.side = side
        self.slug = f"{side}-{place.cell}"

    def __getattr__(self, name: str) -> Any:
        if self.place.door == "sync":
            return lambda *args, **kwargs: getattr(self.pack, name)(self.slug, *args, **kwargs)
        unit = getattr(self.pack.aio, name)
        return lambda *args, **kwargs: self.ground.runner.run(unit(self.slug, *args, **kwargs))
