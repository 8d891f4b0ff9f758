"""The documents in every cell: two organisations with rows of the same names, and sessions of one of them."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from tenantry import Tenancy
from tenantry.cache.memory import MemoryStore
from tenantry.packs import documents
from tenantry.packs.documents import (
    DocumentRepository,
    Documents,
    DocumentsBase,
    GraphRelationshipRepository,
    TopicRepository,
    User,
)

CELLS = {
    "postgresql-rows": "rows",
    "postgresql-schema": "schema",
    "postgresql-database": "database",
    "sqlite-file": "database",
    "sqlite-rows": "rows",
}
MORNING = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)
SIDES = ("acme", "rival")

# title, content, status: the later ones are the younger ones.
DOCUMENTS = (
    ("Charter", "What we are for", "published"),
    ("Budget", "100% of what we spend", "published"),
    ("Roadmap", "Where the charter leads", "draft"),
    ("Minutes", "Who said what", "draft"),
    ("Annex", "Nobody refers to this", "archived"),
    ("Island", "On its own", "draft"),
)
# from, type, to. Charter, Budget and Roadmap stand in a circle; two shortest ways lead from Charter to Annex.
LINES = (
    ("Charter", "requires", "Budget"),
    ("Budget", "requires", "Roadmap"),
    ("Roadmap", "requires", "Charter"),
    ("Budget", "replaces", "Minutes"),
    ("Roadmap", "requires", "Minutes"),
    ("Minutes", "requires", "Annex"),
)
TOPICS = {"Money": {"Budget": 0.9, "Charter": 0.2}, "Plans": {"Roadmap": 1.0, "Budget": 0.5}}


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"


# Every cell, and every door at least once; what is awaited runs the same code inside.
DOORS = {
    "postgresql-rows": ("sync", "asyncpg"),
    "postgresql-schema": ("psycopg",),
    "sqlite-file": ("sync", "aiosqlite"),
}
PLACES = [Place(cell, door) for cell in CELLS for door in DOORS.get(cell, ("sync",))]


class Ground:
    """Both databases; in each cell ``acme-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self._ends = ExitStack()
        url = self._ends.enter_context(server.lend_database())
        logins = self._logins(server, url)
        app = logins.pop("app_url")
        self._tenancies = {
            "sqlite": Tenancy(f"sqlite:///{directory}", models=DocumentsBase),
            "psycopg": Tenancy(app, models=DocumentsBase, owner_url=url, **logins),
            "asyncpg": Tenancy(
                app.replace("postgresql:", "postgresql+asyncpg:"), models=DocumentsBase, owner_url=url, **logins
            ),
        }
        self._packs = {
            name: Documents(tenancy, store=MemoryStore(max_bytes=1_000_000))
            for name, tenancy in self._tenancies.items()
        }
        for name in ("sqlite", "psycopg"):
            self._tenancies[name].install(create_tables=True)
        for cell, isolation in CELLS.items():
            for side in SIDES:
                self._settle(Place(cell, "sync"), side, isolation)

    def tenancy(self, place: Place) -> Tenancy:
        """Returns the tenancy whose driver the place names."""
        return self._tenancies[self._driver(place)]

    def pack(self, place: Place) -> Documents:
        """Returns the pack on that tenancy."""
        return self._packs[self._driver(place)]

    def close(self) -> None:
        psycopg = self._tenancies["psycopg"]
        for tenancy in self._tenancies.values():
            self.runner.run(tenancy.aio.close())
        for side in SIDES:
            slug = f"{side}-postgresql-database"
            psycopg.tenants.erase(slug, confirm=slug)
        for tenancy in self._tenancies.values():
            tenancy.close()
        self.runner.close()
        self._ends.close()

    def _driver(self, place: Place) -> str:
        if place.cell.startswith("sqlite"):
            return "sqlite"
        return "asyncpg" if place.door == "asyncpg" else "psycopg"

    def _logins(self, server: Any, url: str) -> dict[str, str]:
        owner = Tenancy(url, models=DocumentsBase)
        Documents(owner)
        owner.install()
        names = {role: f"documents_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        owner.close()
        self._ends.callback(_drop_roles, server, list(names.values()))
        return urls

    def _settle(self, place: Place, side: str, isolation: str) -> None:
        tenancy, slug = self.tenancy(place), f"{side}-{place.cell}"
        tenancy.tenants.create(slug, isolation=isolation, record={"name": side, "slug": side})
        with tenancy.transaction(slug) as session:
            settle(session, side)


def settle(session: Session, side: str) -> None:
    """Writes an organisation's rows."""
    owner = User(email=f"ann@{side}.example", display_name=side)
    session.add(owner)
    session.flush()
    repository, topics = DocumentRepository(session), TopicRepository(session)
    made = {}
    for hour, (title, content, status) in enumerate(DOCUMENTS):
        at = MORNING + datetime.timedelta(hours=hour)
        values = {"title": title, "content": content, "status": status, "source_url": side}
        made[title] = repository.create(values, owner_id=owner.id, created_at=at)
    lines = GraphRelationshipRepository(session)
    for source, kind, target in LINES:
        lines.connect_documents(made[source], made[target], kind)
    for name, about in TOPICS.items():
        topic = topics.create(name=name)
        for title, relevance in about.items():
            topics.assign(made[title].id, topic.id, relevance=relevance)


class Desk:
    """A session of one organisation; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Ground, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session

    def repository(self, name: str, **options: Any) -> Any:
        """Returns the repository called so, or its awaited face behind the same spelling."""
        awaited = self.place.door != "sync"
        made = getattr(documents, f"Async{name}" if awaited else name)(self.session, **options)
        return Plain(made, self.ground.runner) if awaited else made

    def run(self, work: Callable[[Session], Any]) -> Any:
        """Runs *work* with the synchronous session."""
        if self.place.door == "sync":
            return work(self.session)
        return self.ground.runner.run(self.session.run_sync(work))

    def commit(self) -> None:
        """Commits."""
        self.run(lambda session: session.commit())


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
def opened(ground: Ground, place: Place, side: str = "acme") -> Iterator[Desk]:
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
