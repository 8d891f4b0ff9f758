"""The cells and the doors: two tenants of each isolation, and a session of one of them behind one spelling."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cells import CELLS, Place, drop_roles
from sqlalchemy.orm import Session

from tenantry import Tenancy
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


class Ground:
    """Both databases with their tenants: ``near-<cell>``, whom the tests are, and ``far-<cell>``, the neighbour."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self._ends = ExitStack()
        url = self._ends.enter_context(server.lend_database())
        logins = self._logins(server, url)
        app = logins.pop("app_url")
        self._sqlite = Tenancy(f"sqlite:///{directory}", models=Base)
        self._psycopg = Tenancy(app, models=Base, owner_url=url, **logins)
        asyncpg = app.replace("postgresql:", "postgresql+asyncpg:")
        self._asyncpg = Tenancy(asyncpg, models=Base, owner_url=url, **logins)
        for tenancy in (self._sqlite, self._psycopg):
            tenancy.install(create_tables=True)
            with tenancy.platform() as session:
                session.add_all([Country(code="it", name="Italy"), Country(code="de", name="Germany")])
                session.commit()
        self.ids = {cell: self._settle(cell) for cell in CELLS}
        for tenancy in (self._sqlite, self._psycopg):
            tenancy.publish()

    def tenancy(self, place: Place) -> Tenancy:
        """Returns the tenancy whose driver the place names."""
        if not place.postgresql:
            return self._sqlite
        return self._asyncpg if place.door == "asyncpg" else self._psycopg

    def far_ticket(self, place: Place) -> uuid.UUID:
        """Returns the id of a row of the neighbour's."""
        return self.ids[place.cell]

    def close(self) -> None:
        for tenancy in (self._sqlite, self._psycopg, self._asyncpg):
            self.runner.run(tenancy.aio.close())
            tenancy.close()
        for side in ("near", "far"):
            slug = f"{side}-postgresql-database"
            self._psycopg.tenants.erase(slug, confirm=slug)
        self._psycopg.close()
        self.runner.close()
        self._ends.close()

    def _logins(self, server: Any, url: str) -> dict[str, str]:
        owner = Tenancy(url, models=Base)
        owner.install()
        names = {role: f"repository_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        owner.close()
        self._ends.callback(drop_roles, server, list(names.values()))
        return urls

    def _settle(self, cell: str) -> uuid.UUID:
        place = Place(cell, "sync")
        for side in ("near", "far"):
            tenancy, slug = self.tenancy(place), f"{side}-{cell}"
            tenancy.tenants.create(slug, isolation=CELLS[cell], record={"name": slug})
            with tenancy.transaction(slug) as session:
                company = session.get(Company, session.tenant.id)
                # Ids of one millisecond have no order of their own.
                ids = sorted(uuid7() for _ in ROWS)
                rows = [
                    Ticket(id=own, number=number, subject=subject, status=status, priority=priority, company=company)
                    for own, (number, subject, status, priority) in zip(ids, ROWS, strict=True)
                ]
                session.add_all(rows)
        return rows[0].id


class Door:
    """A session of one tenant; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Ground, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session

    def __getattr__(self, name: str) -> Any:
        sync, awaited = FACES[name]
        face = sync if self.place.door == "sync" else awaited
        return Face(face(self.session), self.ground.runner)

    def run(self, work: Callable[[Session], Any]) -> Any:
        """Runs *work* with the synchronous session."""
        if self.place.door == "sync":
            return work(self.session)
        return self.ground.runner.run(self.session.run_sync(work))

    def flush(self) -> None:
        self.run(lambda session: session.flush())

    def write(self, *rows: Any) -> None:
        """Puts rows into the database past the repositories."""
        self.run(lambda session: session.add_all(rows))
        self.flush()

    @contextmanager
    def neighbour(self) -> Iterator[Door]:
        """Opens a session of the other tenant through the same door; it reads, as SQLite has one writer at a time."""
        with opened(self.ground, self.place, "far", read_only=True) as door:
            yield door


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


@contextmanager
def opened(ground: Ground, place: Place, side: str = "near", *, read_only: bool = False) -> Iterator[Door]:
    """Opens a session; nothing is committed, so the next test finds the rows as they were."""
    tenancy, slug = ground.tenancy(place), f"{side}-{place.cell}"
    if place.door == "sync":
        with tenancy.session(slug, read_only=read_only) as session:
            yield Door(ground, place, session)
        return
    manager = tenancy.aio.session(slug, read_only=read_only)
    session = ground.runner.run(manager.__aenter__())
    try:
        yield Door(ground, place, session)
    finally:
        ground.runner.run(manager.__aexit__(None, None, None))


async def _collected(rows: Any) -> list[Any]:
    return [row async for row in rows]
