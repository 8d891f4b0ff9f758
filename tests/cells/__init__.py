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

    @property
    def driver(self) -> str:
        """The tenancy through which the place is entered."""
        if not self.postgresql:
            return "sqlite"
        return "asyncpg" if self.door == "asyncpg" else "psycopg"


PLACES = [
    Place(cell, door)
    for cell in CELLS
    for door in (POSTGRESQL_DOORS if cell.startswith("postgresql") else SQLITE_DOORS)
]
SYNC_PLACES = [place for place in PLACES if place.door == "sync"]


class Door:
    """A session of one tenant; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Any, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session

    @property
    def awaited(self) -> bool:
        return self.place.door != "sync"

    def plain(self, target: Any) -> Any:
        """Returns what the door calls, so that no test has to await it."""
        return Plain(target, self.ground.runner) if self.awaited else target

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a bound method with the session first: the sync one itself, or its namesake on the owner's ``aio``."""
        if not self.awaited:
            return method(self.session, *args, **kwargs)
        twin = getattr(method.__self__.aio, method.__name__)  # type: ignore[attr-defined]  # a bound method
        found = twin(self.session, *args, **kwargs)
        return self.ground.runner.run(found) if inspect.iscoroutine(found) else found

    def run(self, work: Callable[[Any], Any]) -> Any:
        """Runs *work* with the synchronous session."""
        if not self.awaited:
            return work(self.session)
        return self.ground.runner.run(self.session.run_sync(work))

    def commit(self) -> None:
        self.run(lambda session: session.commit())

    def rollback(self) -> None:
        self.run(lambda session: session.rollback())


class Plain:
    """An object whose awaited results come as plain ones."""

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


class Ground:
    """Both databases, with a tenant and a neighbour in each cell; sessions run under the app's login."""

    sides = ("near", "far")
    door: type[Any] = Door

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
        logins = self._ends.enter_context(lent_logins(postgres, self.owner_url, models, make, config=config))
        self.sqlite_url = f"sqlite:///{directory}"
        self.urls = {"owner_url": self.owner_url, **logins}
        app = logins.pop("app_url")
        driver = app.replace("postgresql:", "postgresql+asyncpg:")
        self._tenancies = {
            "sqlite": self.open(self.sqlite_url),
            "psycopg": self.open(app, owner_url=self.owner_url, **logins),
            "asyncpg": self.open(driver, owner_url=self.owner_url, **logins),
        }
        for name in ("sqlite", "psycopg"):
            self._tenancies[name].install(create_tables=True)
        self.settle_all()

    def settle_all(self) -> None:
        """Makes the tenants of every cell, and whatever else the tests find there."""
        for cell in CELLS:
            for side in self.sides:
                self.settle(Place(cell, "sync"), side)

    def settle(self, place: Place, side: str) -> None:
        """Makes one of the cell's tenants."""
        self.tenancy(place).tenants.create(self.key(place, side), isolation=CELLS[place.cell])

    def key(self, place: Place, side: str) -> Any:
        """Returns what one of the cell's tenants is found by."""
        return f"{side}-{place.cell}"

    def open(self, url: str, **logins: str) -> Tenancy:
        """Returns one more tenancy, with what is tested made of it."""
        tenancy = Tenancy(url, models=self._models, config=self._config, **logins)
        self._made[id(tenancy)] = self._make(tenancy)
        return tenancy

    def tenancy(self, place: Place) -> Tenancy:
        """Returns the tenancy whose driver the place names."""
        return self._tenancies[place.driver]

    def made(self, place: Place) -> Any:
        """Returns what *make* made of that tenancy."""
        return self._made[id(self.tenancy(place))]

    @contextmanager
    def session(self, place: Place, side: str = "", *, read_only: bool = False) -> Iterator[Any]:
        """Opens a session of one of the cell's tenants; what is not committed is rolled back."""
        tenancy, key = self.tenancy(place), self.key(place, side or self.sides[0])
        if place.door == "sync":
            with tenancy.session(key, read_only=read_only) as session:
                yield self.door(self, place, session)
            return
        manager = tenancy.aio.session(key, read_only=read_only)
        session = self.runner.run(manager.__aenter__())
        try:
            yield self.door(self, place, session)
        finally:
            self.runner.run(manager.__aexit__(None, None, None))

    def close(self) -> None:
        for tenancy in self._tenancies.values():
            self.runner.run(tenancy.aio.close())
        psycopg = self._tenancies["psycopg"]
        for tenant in list(psycopg.every_tenant()):
            if tenant.isolation == "database":
                psycopg.tenants.erase(tenant, confirm=tenant.slug)
        for tenancy in self._tenancies.values():
            tenancy.close()
        self.runner.close()
        self._ends.close()


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


@contextmanager
def lent_logins(
    postgres: Any, url: str, models: Any, make: Callable[[Tenancy], Any], *, config: Config | None = None
) -> Iterator[dict[str, str]]:
    """Installs an application by its owner and lends the URLs of logins that may do nothing but work in it."""
    owner = Tenancy(url, models=models, config=config)
    make(owner)
    owner.install()
    names = {role: f"cells_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
    urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
    owner.close()
    try:
        yield urls
    finally:
        drop_roles(postgres, [*names.values()])


def drop_roles(postgres: Any, names: list[str]) -> None:
    """Drops logins that were made for a run."""
    with postgres.admin() as connection:
        for name in names:
            connection.execute(f'DROP ROLE "{name}"')
