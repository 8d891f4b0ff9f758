"""The helpdesk in every cell: two companies with the same numbers, and sessions of one of them through each door."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tenantry import Tenancy
from tenantry.packs import helpdesk
from tenantry.packs.helpdesk import Agent, Conversation, Helpdesk, HelpdeskBase, Ticket

POSTGRESQL_DOORS = ("sync", "psycopg", "asyncpg")
SQLITE_DOORS = ("sync", "aiosqlite")
CELLS = {
    "postgresql-rows": ("rows", POSTGRESQL_DOORS),
    "postgresql-schema": ("schema", POSTGRESQL_DOORS),
    "postgresql-database": ("database", POSTGRESQL_DOORS),
    "sqlite-file": ("database", SQLITE_DOORS),
    "sqlite-rows": ("rows", SQLITE_DOORS),
}
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


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"


PLACES = [Place(cell, door) for cell, (_, doors) in CELLS.items() for door in doors]
SYNC_PLACES = [Place(cell, "sync") for cell in CELLS]
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


class Ground:
    """Both databases; in each cell ``wedosoft-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self._ends = ExitStack()
        url = self._ends.enter_context(server.lend_database())
        logins = self._logins(server, url)
        app = logins.pop("app_url")
        self._tenancies = {
            "sqlite": Tenancy(f"sqlite:///{directory}", models=HelpdeskBase),
            "psycopg": Tenancy(app, models=HelpdeskBase, owner_url=url, **logins),
            "asyncpg": Tenancy(
                app.replace("postgresql:", "postgresql+asyncpg:"), models=HelpdeskBase, owner_url=url, **logins
            ),
        }
        self._packs = {name: Helpdesk(tenancy) for name, tenancy in self._tenancies.items()}
        for name in ("sqlite", "psycopg"):
            self._tenancies[name].install(create_tables=True)
        self._settled: set[str] = set()

    def tenancy(self, place: Place) -> Tenancy:
        """Returns the tenancy whose driver the place names, its cell settled at first use."""
        if place.cell not in self._settled:
            self._settled.add(place.cell)
            for side in ("wedosoft", "rival"):
                self._settle(Place(place.cell, "sync"), side, CELLS[place.cell][0], "freshdesk")
        return self._tenancies[_driver(place)]

    def pack(self, place: Place) -> Helpdesk:
        """Returns the helpdesk over that tenancy."""
        return self._packs[_driver(place)]

    def close(self) -> None:
        psycopg = self._tenancies["psycopg"]
        for tenancy in self._tenancies.values():
            self.runner.run(tenancy.aio.close())
        for side in ("wedosoft", "rival") if "postgresql-database" in self._settled else ():
            slug = f"{side}-postgresql-database"
            psycopg.tenants.erase(slug, confirm=slug)
        for tenancy in self._tenancies.values():
            tenancy.close()
        self.runner.close()
        self._ends.close()

    def _logins(self, server: Any, url: str) -> dict[str, str]:
        owner = Tenancy(url, models=HelpdeskBase)
        owner.install()
        names = {role: f"helpdesk_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        owner.close()
        self._ends.callback(_drop_roles, server, list(names.values()))
        return urls

    def _settle(self, place: Place, side: str, isolation: str, platform: str) -> None:
        tenancy, slug = self._tenancies[_driver(place)], f"{side}-{place.cell}"
        record = {"name": side, "platform": platform, "subscription_plan": "enterprise"}
        tenancy.tenants.create(slug, isolation=isolation, record=record)
        with tenancy.transaction(slug) as session:
            agents = {name: Agent(agent_id=name, name=f"{name} of {side}") for name in ("agent_1", "agent_2")}
            session.add_all(agents.values())
            session.add_all(_tickets(side, agents))
            session.flush()
            session.add_all(_conversations(side))


def _driver(place: Place) -> str:
    if place.cell.startswith("sqlite"):
        return "sqlite"
    return "asyncpg" if place.door == "asyncpg" else "psycopg"


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


class Desk:
    """A session of one company; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Ground, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session

    def repository(self, name: str) -> Any:
        """Returns the repository called so, or its awaited face behind the same spelling."""
        awaited = self.place.door != "sync"
        made = getattr(helpdesk, f"Async{name}" if awaited else name)(self.session)
        return Plain(made, self.ground.runner) if awaited else made

    def run(self, work: Callable[[Session], Any]) -> Any:
        """Runs *work* with the synchronous session."""
        if self.place.door == "sync":
            return work(self.session)
        return self.ground.runner.run(self.session.run_sync(work))


class Plain:
    """A repository whose awaited results come as plain ones."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            assert inspect.iscoroutine(result)
            return self._runner.run(result)

        return call


@contextmanager
def opened(ground: Ground, place: Place, side: str = "wedosoft") -> Iterator[Desk]:
    """Opens a session; nothing is committed, so the next test finds the rows as they were."""
    tenancy, slug = ground.tenancy(place), f"{side}-{place.cell}"
    if place.door == "sync":
        with tenancy.session(slug) as session:
            yield Desk(ground, place, session)
        return
    manager = tenancy.aio.session(slug)
    session = ground.runner.run(manager.__aenter__())
    try:
        yield Desk(ground, place, session)
    finally:
        ground.runner.run(manager.__aexit__(None, None, None))


def _drop_roles(server: Any, names: list[str]) -> None:
    with server.admin() as connection:
        for name in names:
            connection.execute(f'DROP ROLE "{name}"')
