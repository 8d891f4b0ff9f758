"""The five cells with a tenant and a neighbour in each, and sessions of both doors behind one spelling.

For the rooms that stand on the tenancy: `opened(postgres, directory, Base, make)` gives a Ground; `make(tenancy)` makes
what is tested, before anything is installed.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenantry import Tenancy
from tenantry.settings import Config

POSTGRESQL_DOORS = ("sync", "psycopg", "asyncpg")
SQLITE_DOORS = ("sync", "aiosqlite")
CELLS = {
    "postgresql-rows": "rows",
    "postgresql-schema": "schema",
    "postgresql-database": "database",
    "sqlite-file": "database",
    "sqlite-rows": "rows",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"

    @property
    def postgresql(self) -> bool:
        return self.cell.startswith("postgresql")


PLACES = [
    Place(cell, door)
    for cell in CELLS
    for door in (POSTGRESQL_DOORS if cell.startswith("postgresql") else SQLITE_DOORS)
]
SYNC_PLACES = [place for place in PLACES if place.door == "sync"]


class Ground:
    """Both databases, each with the tenants ``near-<cell>`` and ``far-<cell>``; sessions run under the app's login."""

    def __init__(
        self,
        postgres: Any,
        directory: Path,
        models: Any,
        make: Callable[[Tenancy], Any],
        *,
        config: Config | None = None,
    ) -> None:
        self.runner = asyncio.Runner()
        self._ends = ExitStack()
        self.owner_url = self._ends.enter_context(postgres.lend_database())
        self._models, self._make, self._config = models, make, config
        self._made: dict[int, Any] = {}
        logins = self._make_logins(postgres)
        self.sqlite_url = f"sqlite:///{directory}"
        self.urls = {"owner_url": self.owner_url, **logins}
        app = logins.pop("app_url")
        self._sqlite = self.open(self.sqlite_url)
        self._psycopg = self.open(app, owner_url=self.owner_url, **logins)
        driver = app.replace("postgresql:", "postgresql+asyncpg:")
        self._asyncpg = self.open(driver, owner_url=self.owner_url, **logins)
        for tenancy in (self._sqlite, self._psycopg):
            tenancy.install(create_tables=True)
        for cell, isolation in CELLS.items():
            for side in ("near", "far"):
                self.tenancy(Place(cell, "sync")).tenants.create(f"{side}-{cell}", isolation=isolation)

    def open(self, url: str, **logins: str) -> Tenancy:
        """Returns one more tenancy, with what is tested made of it."""
        tenancy = Tenancy(url, models=self._models, config=self._config, **logins)
        self._made[id(tenancy)] = self._make(tenancy)
        return tenancy

    def tenancy(self, place: Place) -> Tenancy:
        """Returns the tenancy whose driver the place names."""
        if not place.postgresql:
            return self._sqlite
        return self._asyncpg if place.door == "asyncpg" else self._psycopg

    def made(self, place: Place) -> Any:
        """Returns what *make* made of that tenancy."""
        return self._made[id(self.tenancy(place))]

    @contextmanager
    def session(self, place: Place, side: str = "near", *, read_only: bool = False) -> Iterator[Door]:
        """Opens a session of one of the cell's tenants; what is not committed is rolled back."""
        tenancy, slug = self.tenancy(place), f"{side}-{place.cell}"
        if place.door == "sync":
            with tenancy.session(slug, read_only=read_only) as session:
                yield Door(self, place, session)
            return
        manager = tenancy.aio.session(slug, read_only=read_only)
        session = self.runner.run(manager.__aenter__())
        try:
            yield Door(self, place, session)
        finally:
            self.runner.run(manager.__aexit__(None, None, None))

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

    def _make_logins(self, postgres: Any) -> dict[str, str]:
        owner = Tenancy(self.owner_url, models=self._models, config=self._config)
        self._make(owner)
        owner.install()
        names = {role: f"cells_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        owner.close()
        self._ends.callback(drop_roles, postgres, list(names.values()))
        return urls


class Door:
    """A session of one tenant; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Ground, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a bound method with the session first: the sync one itself, or its namesake on the owner's ``aio``."""
        if self.place.door == "sync":
            return method(self.session, *args, **kwargs)
        twin = getattr(method.__self__.aio, method.__name__)  # type: ignore[attr-defined]  # a bound method
        found = twin(self.session, *args, **kwargs)
        return self.ground.runner.run(found) if inspect.iscoroutine(found) else found

    def run(self, work: Callable[[Any], Any]) -> Any:
        """Runs *work* with the synchronous session."""
        if self.place.door == "sync":
            return work(self.session)
        return self.ground.runner.run(self.session.run_sync(work))

    def commit(self) -> None:
        self.run(lambda session: session.commit())

    def rollback(self) -> None:
        self.run(lambda session: session.rollback())


@contextmanager
def opened(
    postgres: Any, directory: Path, models: Any, make: Callable[[Tenancy], Any], *, config: Config | None = None
) -> Iterator[Ground]:
    """Opens a ground and leaves nothing behind."""
    ground = Ground(postgres, directory, models, make, config=config)
    try:
        yield ground
    finally:
        ground.close()


def drop_roles(postgres: Any, names: list[str]) -> None:
    """Drops logins that were made for a run."""
    with postgres.admin() as connection:
        for name in names:
            connection.execute(f'DROP ROLE "{name}"')
