"""The assistant in every cell: two companies with the same rows, and sessions of one of them through each door."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cells
from cells import CELLS

from tenantry.access import Claims, Passwords
from tenantry.packs import assistant
from tenantry.packs.assistant import Assistant, AssistantBase, Conversation, Document, Message, Piece

from .. import ground

SIDES = ("acme", "rival")
# By cell: both doors (of PostgreSQL's two async drivers one each), and the numbers of the two companies.
DOORS = {
    "postgresql-rows": ("sync", "asyncpg"),
    "postgresql-schema": ("sync", "psycopg"),
    "postgresql-database": ("sync", "asyncpg"),
    "sqlite-file": ("sync", "aiosqlite"),
    "sqlite-rows": ("sync", "aiosqlite"),
}
NUMBERS = {
    "postgresql-rows": (1, 2),
    "postgresql-schema": (3, 4),
    "postgresql-database": (5, 6),
    "sqlite-file": (1, 2),
    "sqlite-rows": (3, 4),
}
PASSWORD = uuid.uuid4().hex
# Numbers that no user of the primary has.
ANN, BOB = 1011, 1012


@dataclass(frozen=True, slots=True)
class Place(cells.Place):
    """A cell, the door through which it is entered, and its companies."""

    def company(self, side: str = "acme") -> int:
        """The number of one of the cell's companies."""
        return number_of(self, side)


PLACES = [Place(cell, door) for cell, doors in DOORS.items() for door in doors]
SYNC = [place for place in PLACES if place.door == "sync"]


class Desk(ground.Desk):
    """A session of one company."""

    names = assistant


class Ground(ground.Ground):
    """In each cell ``acme``, whom the tests are, and ``rival``, the neighbour, with the same rows."""

    sides = SIDES
    door = Desk

    def __init__(self, server: Any, directory: Path) -> None:
        cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
        super().__init__(server, directory, AssistantBase, lambda tenancy: Assistant(tenancy, passwords=cheap))

    def key(self, place: cells.Place, side: str) -> Any:
        return ("company", str(number_of(place, side)))

    def admin(self, place: Place) -> Claims:
        """Returns what the super admin's token says."""
        pack = self.pack(Place(place.cell, "sync"))
        return pack.access.verify(pack.log_in("root", PASSWORD).access)

    def settle_all(self) -> None:
        sync = [self.packs[name] for name in ("sqlite", "psycopg")]
        for pack in sync:
            pack.prepare({"TENANTRY_ADMIN_NAME": "root", "TENANTRY_ADMIN_PASSWORD": PASSWORD})
        super().settle_all()
        for pack in sync:
            pack.library.publish("law.pdf", pieces=[Piece("first"), Piece("second")])

    def settle(self, place: cells.Place, side: str) -> None:
        pack, number = self.pack(place), number_of(place, side)
        pack.companies.ensure(f"{side} {place.cell}", company_id=number, isolation=CELLS[place.cell])
        for name, role in (("ann", "admin"), ("bob", "analyst"), ("vic", "viewer")):
            pack.on_platform(
                lambda session, name=name, role=role: pack.users.create(
                    session,
                    f"{name}{number}",
                    email=f"{name}{number}@{side}.example",
                    password=PASSWORD,
                    role=role,
                    company_id=number,
                )
            )
        with pack.tenancy.transaction(pack.companies.key(number)) as session:
            session.add_all(_rows(side))


def number_of(place: cells.Place, side: str) -> int:
    return NUMBERS[place.cell][SIDES.index(side)]


def _rows(side: str) -> Iterator[Any]:
    for name, scope, owner in (("ann's.txt", "user", ANN), ("bob's.txt", "user", BOB), ("all.txt", "company", ANN)):
        yield Document(filename=name, original_filename=name, file_path=f"{side}/{name}", scope=scope, user_id=owner)
    yield Conversation(title=side, user_id=ANN, messages=[Message(role="user", content=f"hello from {side}")])
