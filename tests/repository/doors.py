"""The cells and the doors: two tenants of each isolation, and a session of one of them behind one spelling."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cells
from cells import CELLS, Place

from tenantry.ids import uuid7
from tenantry.repository.refining import Refining

from .models import FACES, Base, Company, Country, Ticket

# number, subject, status, priority: enough to tell orders and filters apart; three have no priority.
ROWS = (
    (1, "Cannot log in", "open", 3),
    (2, "login page is slow", "open", None),
    (3, "Invoice 100% wrong", "closed", 1),
    (4, "Invoice 100 percent right", "closed", 1),
    (5, "snake_case subject", "pending", None),
    (6, "snakeXcase subject", "pending", 2),
    (7, "back\\slash", "open", None),
)


class Door(cells.Door):
    """A session of one tenant; each repository is an attribute, the same through both doors."""

    def __getattr__(self, name: str) -> Any:
        sync, awaited = FACES[name]
        face = awaited if self.awaited else sync
        return Face(face(self.session), self.ground.runner)

    def flush(self) -> None:
        self.run(lambda session: session.flush())

    def write(self, *rows: Any) -> None:
        """Puts rows into the database past the repositories."""
        self.run(lambda session: session.add_all(rows))
        self.flush()

    @contextmanager
    def neighbour(self) -> Iterator[Door]:
        """Opens a session of the other tenant through the same door; it reads, as SQLite has one writer at a time."""
        with self.ground.session(self.place, "far", read_only=True) as door:
            yield door


class Ground(cells.Ground):
    """In each cell ``near-<cell>``, whom the tests are, and ``far-<cell>``, the neighbour."""

    door = Door

    def __init__(self, server: Any, directory: Path) -> None:
        self._far_tickets: dict[str, uuid.UUID] = {}
        super().__init__(server, directory, Base, lambda tenancy: None)

    def settle_all(self) -> None:
        sync = [self.tenancy(Place(cell, "sync")) for cell in ("sqlite-rows", "postgresql-rows")]
        for tenancy in sync:
            with tenancy.platform() as session:
                session.add_all([Country(code="it", name="Italy"), Country(code="de", name="Germany")])
                session.commit()
        super().settle_all()
        for tenancy in sync:
            tenancy.publish()

    def far_ticket(self, place: Place) -> uuid.UUID:
        """Returns the id of a row of the neighbour's."""
        return self._far_tickets[place.cell]

    def settle(self, place: Place, side: str) -> None:
        tenancy, slug = self.tenancy(place), self.key(place, side)
        tenancy.tenants.create(slug, isolation=CELLS[place.cell], record={"name": slug})
        with tenancy.transaction(slug) as session:
            company = session.get(Company, session.tenant.id)
            # Ids of one millisecond have no order of their own.
            ids = sorted(uuid7() for _ in ROWS)
            rows = [
                Ticket(id=own, number=number, subject=subject, status=status, priority=priority, company=company)
                for own, (number, subject, status, priority) in zip(ids, ROWS, strict=True)
            ]
            session.add_all(rows)
        if side == "far":
            self._far_tickets[place.cell] = rows[0].id


class Face:
    """A repository or query through which awaited results come as plain ones, and streams as lists."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._plain(found(*args, **kwargs))

        return call

    def _plain(self, result: Any) -> Any:
        if inspect.iscoroutine(result):
            return self._runner.run(result)
        if inspect.isasyncgen(result):
            return self._runner.run(_collected(result))
        if inspect.isgenerator(result):
            return list(result)
        return Face(result, self._runner) if isinstance(result, Refining) else result


async def _collected(rows: Any) -> list[Any]:
    return [row async for row in rows]
