"""The assistant in every cell: two companies with the same rows, and sessions of one of them through each door."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from tenantry import Tenancy
from tenantry.access import Claims, Passwords
from tenantry.packs import assistant
from tenantry.packs.assistant import Assistant, AssistantBase, Conversation, Document, Message, Piece

# By cell: the isolation, both doors (of PostgreSQL's two async drivers one each), and the numbers of the two companies.
CELLS = {
    "postgresql-rows": ("rows", ("sync", "asyncpg"), (1, 2)),
    "postgresql-schema": ("schema", ("sync", "psycopg"), (3, 4)),
    "postgresql-database": ("database", ("sync", "asyncpg"), (5, 6)),
    "sqlite-file": ("database", ("sync", "aiosqlite"), (1, 2)),
    "sqlite-rows": ("rows", ("sync", "aiosqlite"), (3, 4)),
}
SIDES = ("acme", "rival")
PASSWORD = uuid.uuid4().hex
# Numbers that no user of the primary has.
ANN, BOB = 1011, 1012


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"

    @property
    def server(self) -> str:
        return self.cell.partition("-")[0]

    def company(self, side: str = "acme") -> int:
        """The number of one of the cell's companies."""
        return CELLS[self.cell][2][SIDES.index(side)]


PLACES = [Place(cell, door) for cell, (_, doors, _) in CELLS.items() for door in doors]
SYNC = [place for place in PLACES if place.door == "sync"]


class Ground:
    """Both databases; in each cell ``acme``, whom the tests are, and ``rival``, the neighbour, with the same rows."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self._ends = ExitStack()
        url = self._ends.enter_context(server.lend_database())
        logins = self._logins(server, url)
        app = logins.pop("app_url")
        asyncpg = app.replace("postgresql:", "postgresql+asyncpg:")
        tenancies = {
            "sqlite": Tenancy(f"sqlite:///{directory}", models=AssistantBase),
            "psycopg": Tenancy(app, models=AssistantBase, owner_url=url, **logins),
            "asyncpg": Tenancy(asyncpg, models=AssistantBase, owner_url=url, **logins),
        }
        cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
        self.packs = {name: Assistant(tenancy, passwords=cheap) for name, tenancy in tenancies.items()}
        for name in ("sqlite", "psycopg"):
            tenancies[name].install(create_tables=True)
            self.packs[name].prepare({"TENANTRY_ADMIN_NAME": "root", "TENANTRY_ADMIN_PASSWORD": PASSWORD})
        for cell, (isolation, _, _) in CELLS.items():
            for side in SIDES:
                self._settle(Place(cell, "sync"), side, isolation)
        for name in ("sqlite", "psycopg"):
            self.packs[name].library.publish("law.pdf", pieces=[Piece("first"), Piece("second")])

    def pack(self, place: Place) -> Assistant:
        """Returns the pack whose driver the place names."""
        if place.server == "sqlite":
            return self.packs["sqlite"]
        return self.packs["asyncpg" if place.door == "asyncpg" else "psycopg"]

    def admin(self, place: Place) -> Claims:
        """Returns what the super admin's token says."""
        pack = self.packs["sqlite" if place.server == "sqlite" else "psycopg"]
        return pack.access.verify(pack.log_in("root", PASSWORD).access)

    def close(self) -> None:
        for pack in self.packs.values():
            self.runner.run(pack.tenancy.aio.close())
        tenancy = self.packs["psycopg"].tenancy
        for number in CELLS["postgresql-database"][2]:
            tenancy.tenants.erase(("company", str(number)), confirm=f"company-{number}")
        for pack in self.packs.values():
            pack.tenancy.close()
        self.runner.close()
        self._ends.close()

    def _logins(self, server: Any, url: str) -> dict[str, str]:
        owner = Tenancy(url, models=AssistantBase)
        Assistant(owner)
        owner.install()
        names = {role: f"assistant_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        owner.close()
        self._ends.callback(_drop_roles, server, list(names.values()))
        return urls

    def _settle(self, place: Place, side: str, isolation: str) -> None:
        pack, number = self.pack(place), place.company(side)
        pack.companies.ensure(f"{side} {place.cell}", company_id=number, isolation=isolation)
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


def _rows(side: str) -> Iterator[Any]:
    for name, scope, owner in (("ann's.txt", "user", ANN), ("bob's.txt", "user", BOB), ("all.txt", "company", ANN)):
        yield Document(filename=name, original_filename=name, file_path=f"{side}/{name}", scope=scope, user_id=owner)
    yield Conversation(title=side, user_id=ANN, messages=[Message(role="user", content=f"hello from {side}")])


class Desk:
    """A session of one company; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Ground, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session
        self.pack = ground.pack(place)

    def repository(self, name: str) -> Any:
        """Returns the repository called so, or its awaited face behind the same spelling."""
        awaited = self.place.door != "sync"
        made = getattr(assistant, f"Async{name}" if awaited else name)(self.session)
        return Plain(made, self.ground.runner) if awaited else made

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a service's method with the session first, or its namesake on the service's ``aio``."""
        if self.place.door == "sync":
            return method(self.session, *args, **kwargs)
        twin = getattr(method.__self__.aio, method.__name__)  # type: ignore[attr-defined]  # a bound method
        return self.ground.runner.run(twin(self.session, *args, **kwargs))

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
def opened(ground: Ground, place: Place, side: str = "acme") -> Iterator[Desk]:
    """Opens a session; nothing is committed, so the next test finds the rows as they were."""
    tenancy, key = ground.pack(place).tenancy, ("company", str(place.company(side)))
    if place.door == "sync":
        with tenancy.session(key) as session:
            yield Desk(ground, place, session)
        return
    manager = tenancy.aio.session(key)
    session = ground.runner.run(manager.__aenter__())
    try:
        yield Desk(ground, place, session)
    finally:
        ground.runner.run(manager.__aexit__(None, None, None))


def _drop_roles(server: Any, names: list[str]) -> None:
    with server.admin() as connection:
        for name in names:
            connection.execute(f'DROP ROLE "{name}"')
