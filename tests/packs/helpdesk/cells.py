"""The helpdesk in every cell: two companies with the same numbers, and sessions of one of them through each door."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cells import CELLS, SYNC_PLACES, Place

from tenantry import Tenancy
from tenantry.packs import helpdesk
from tenantry.packs.helpdesk import Agent, Conversation, Helpdesk, HelpdeskBase, Ticket

from .. import ground

MORNING = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)

# number, subject, description, status, priority, agent: the later ones are the younger ones.
TICKETS = (
    ("t-1", "Login Issues", "User cannot access account", "open", "high", "agent_1"),
    ("t-2", "Printer", "The login issues are back", "open", "urgent", "agent_1"),
    ("t-3", "login issues again", None, "open", "low", "agent_2"),
    ("t-4", "LOGIN ISSUES", "solved long ago", "closed", "high", None),
    ("t-5", "100% of invoices", None, "pending", "medium", None),
)
# ticket, number, content
CONVERSATIONS = (
    ("t-1", "c-1", "I cannot log in"),
    ("t-1", "c-2", "Have you tried the new page?"),
    ("t-1", "c-3", "Yes, and 100% of it fails"),
    ("t-2", "c-4", "The printer says 100 percent"),
)


FEW_PLACES = [
    *SYNC_PLACES,
    Place("postgresql-rows", "psycopg"),
    Place("postgresql-rows", "asyncpg"),
    Place("sqlite-file", "aiosqlite"),
]
# These are tried each time, and the rest in the long run.
OFTEN = {"postgresql-rows-sync", "postgresql-rows-asyncpg", "sqlite-file-sync", "sqlite-file-aiosqlite"}


def often(places: Sequence[Place], *more: str) -> list[Any]:
    """Returns the places as parameters, those that are not tried each time marked for the long run."""
    kept = {*OFTEN, *more}
    return [pytest.param(place, marks=() if str(place) in kept else pytest.mark.soak) for place in places]


def often_cells() -> list[Any]:
    """Returns the cells likewise."""
    kept = ("postgresql-rows", "sqlite-file")
    return [pytest.param(cell, marks=() if cell in kept else pytest.mark.soak) for cell in CELLS]


class Desk(ground.Desk):
    """A session of one company."""

    names = helpdesk


class Ground(ground.Ground):
    """In each cell ``wedosoft-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    sides = ("wedosoft", "rival")
    door = Desk

    def __init__(self, server: Any, directory: Path) -> None:
        self._settled: set[str] = set()
        super().__init__(server, directory, HelpdeskBase, Helpdesk)

    def settle_all(self) -> None:
        """Makes no cell before a test asks for it: few of them are tried each time."""

    def tenancy(self, place: Place) -> Tenancy:
        """Returns the tenancy whose driver the place names, its cell settled at first use."""
        if place.cell not in self._settled:
            self._settled.add(place.cell)
            for side in self.sides:
                self.settle(Place(place.cell, "sync"), side)
        return super().tenancy(place)

    def settle(self, place: Place, side: str) -> None:
        tenancy, slug = self.tenancy(place), self.key(place, side)
        record = {"name": side, "platform": "freshdesk", "subscription_plan": "enterprise"}
        tenancy.tenants.create(slug, isolation=CELLS[place.cell], record=record)
        with tenancy.transaction(slug) as session:
            agents = {name: Agent(agent_id=name, name=f"{name} of {side}") for name in ("agent_1", "agent_2")}
            session.add_all(agents.values())
            session.add_all(_tickets(side, agents))
            session.flush()
            session.add_all(_conversations(side))


def _tickets(side: str, agents: dict[str, Agent]) -> Iterator[Ticket]:
    for hour, (number, subject, description, status, priority, agent) in enumerate(TICKETS):
        yield Ticket(
            ticket_id=number,
            subject=subject,
            description=description,
            status=status,
            priority=priority,
            agent=agents.get(agent or ""),
            source=side,
            created_at=MORNING + datetime.timedelta(hours=hour),
        )


def _conversations(side: str) -> Iterator[Conversation]:
    for minute, (ticket, number, content) in enumerate(CONVERSATIONS):
        at = MORNING + datetime.timedelta(minutes=minute)
        yield Conversation(
            ticket_id=ticket,
            conversation_id=number,
            platform="freshdesk",
            content=content,
            author_id=side,
            created_at=at,
        )
