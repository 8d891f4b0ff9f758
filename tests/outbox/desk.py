"""An outbox of one cell, empty at first, with handlers of one test's own."""

from __future__ import annotations

import datetime
import random
from typing import Any

from cells import Ground, Place
from sqlalchemy import delete, select, update

from tenantry.outbox import Backoff, Delivery, Event, Outbox, Relay

from .models import Note

AT_ONCE = Backoff(first=0.0)
NEVER = Backoff(first=10_000.0, longest=10_000.0)


class Desk:
    """Adds events for the near tenant, and delivers them to what the test registers."""

    def __init__(self, ground: Ground, place: Place, side: str = "near") -> None:
        self.ground, self.place, self.slug = ground, place, f"{side}-{place.cell}"
        self.tenancy = ground.tenancy(place)
        self.outbox = Outbox(self.tenancy)
        self.seen: list[Event] = []
        with self.tenancy.transaction(self.slug) as session:
            for table in (self.outbox.tables.events, self.outbox.tables.streams, Note.__table__):
                session.execute(delete(table))

    def relay(self, **options: Any) -> Relay:
        return Relay(self.outbox, **{"backoff": AT_ONCE, **options})

    def add(self, *numbers: int, topic: str = "noted") -> None:
        with self.tenancy.transaction(self.slug) as session:
            for number in numbers:
                self.outbox.add(session, topic, {"number": number})

    def record(self, event: Event) -> None:
        """A handler that remembers."""
        self.seen.append(event)

    def deliver(self, relay: Relay | None = None) -> Delivery:
        return (relay or self.relay()).deliver(self.slug)

    def let_pass(self, moment: str) -> None:
        """Has a time of the stream lie in the past."""
        passed = {moment: datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)}
        with self.tenancy.transaction(self.slug) as session:
            session.execute(update(self.outbox.tables.streams).values(passed))

    @property
    def numbers(self) -> list[int]:
        """The numbers that were seen, as the changes gave them."""
        return [event.payload["number"] for event in self.seen]

    def read(self, what: str) -> list[Event]:
        with self.tenancy.session(self.slug) as session:
            return getattr(self.outbox, what)(session)

    def notes(self) -> list[int]:
        with self.tenancy.session(self.slug) as session:
            return sorted(session.scalars(select(Note.number)))


def flaky(chance: float, seed: int) -> Any:
    """Returns what raises now and then."""
    rng = random.Random(seed)

    def perhaps() -> None:
        if rng.random() < chance:
            raise ConnectionError("no route to host")

    return perhaps
