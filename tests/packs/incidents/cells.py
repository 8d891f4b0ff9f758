"""Incidents in every cell: two tenants with the same words, and sessions of one of them through each door."""

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

from sqlalchemy import select
from sqlalchemy.orm import Session

from tenantry import Tenancy
from tenantry.packs.incidents import (
    Event,
    Incident,
    Incidents,
    IncidentsBase,
    Workflow,
    repositories,
    rows,
    rows_control,
)

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
# The last one is whose rows are committed: the others are found as they were.
SIDES = ("acme", "rival", "writer")


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"


EVERY = [Place(cell, door) for cell, (_, doors) in CELLS.items() for door in doors]
# Every cell, and every door; all of both together take longer.
PLACES = [
    Place("postgresql-rows", "sync"),
    Place("postgresql-rows", "asyncpg"),
    Place("postgresql-schema", "psycopg"),
    Place("postgresql-database", "asyncpg"),
    Place("sqlite-file", "sync"),
    Place("sqlite-rows", "aiosqlite"),
]
AWAITED = [place for place in PLACES if place.door != "sync"]


class Ground:
    """Both databases; in each cell ``acme-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self._ends = ExitStack()
        url = self._ends.enter_context(server.lend_database())
        logins = self._logins(server, url)
        app = logins.pop("app_url")
        asyncpg = app.replace("postgresql:", "postgresql+asyncpg:")
        tenancies = {
            "sqlite": Tenancy(f"sqlite:///{directory}", models=IncidentsBase),
            "psycopg": Tenancy(app, models=IncidentsBase, owner_url=url, **logins),
            "asyncpg": Tenancy(asyncpg, models=IncidentsBase, owner_url=url, **logins),
        }
        self.packs = {name: Incidents(tenancy) for name, tenancy in tenancies.items()}
        for name in ("sqlite", "psycopg"):
            tenancies[name].install(create_tables=True)
            self.packs[name].prepare()
        for cell, (isolation, _) in CELLS.items():
            for side in SIDES:
                self._settle(Place(cell, "sync"), side, isolation)

    def pack(self, place: Place) -> Incidents:
        """Returns the pack whose driver the place names."""
        if place.cell.startswith("sqlite"):
            return self.packs["sqlite"]
        return self.packs["asyncpg" if place.door == "asyncpg" else "psycopg"]

    def close(self) -> None:
        tenancies = [pack.tenancy for pack in self.packs.values()]
        for tenancy in tenancies:
            self.runner.run(tenancy.aio.close())
        for side in SIDES:
            slug = f"{side}-postgresql-database"
            self.packs["psycopg"].tenancy.tenants.erase(slug, confirm=slug)
        for tenancy in tenancies:
            tenancy.close()
        self.runner.close()
        self._ends.close()

    def _logins(self, server: Any, url: str) -> dict[str, str]:
        owner = Tenancy(url, models=IncidentsBase)
        owner.install()
        names = {role: f"incidents_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        owner.close()
        self._ends.callback(_drop_roles, server, list(names.values()))
        return urls

    def _settle(self, place: Place, side: str, isolation: str) -> None:
        tenancy, slug = self.pack(place).tenancy, f"{side}-{place.cell}"
        tenancy.tenants.create(slug, isolation=isolation, record={"name": side})
        with tenancy.transaction(slug) as session:
            billing = Workflow(name="billing", description=side)
            session.add_all([billing, Workflow(name="old", is_active=False)])
            session.flush()
            session.add_all(event_of(billing, number=number) for number in range(1, 4))
            session.add_all(
                Incident(signature=f"s-{number}", title=side, created_at=MORNING + datetime.timedelta(hours=number))
                for number in range(1, 4)
            )


def event_of(workflow: Workflow, *, number: int) -> Event:
    at = MORNING + datetime.timedelta(hours=number)
    return Event(workflow_id=workflow.id, event_type="payment.failed", idempotency_key=f"k-{number}", occurred_at=at)


class Desk:
    """A session of one tenant; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Ground, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session
        self.pack = ground.pack(place)
        self.tenant_id: uuid.UUID = session.info["tenant"].id

    def repository(self, name: str) -> Any:
        """Returns the repository called so, or its awaited face behind the same spelling."""
        if self.place.door == "sync":
            found = getattr(rows, f"{name}Rows", None) or getattr(rows_control, f"{name}Rows")
            return found(self.session)
        return Plain(getattr(repositories, f"{name}Repository")(self.session), self.ground.runner)

    def run(self, work: Callable[[Session], Any]) -> Any:
        """Runs *work* with the synchronous session."""
        if self.place.door == "sync":
            return work(self.session)
        return self.ground.runner.run(self.session.run_sync(work))

    def billing(self) -> Workflow:
        """Returns the workflow that is in use."""
        return self.run(lambda session: session.scalars(select(Workflow).filter_by(name="billing")).one())

    def told(self, **values: Any) -> dict[str, Any]:
        """Returns the values of an event."""
        known = {
            "workflow_id": self.billing().id,
            "event_type": "payment.failed",
            "payload": {"error_code": "card_declined"},
            "idempotency_key": uuid.uuid4().hex,
            "occurred_at": MORNING,
        }
        return {**known, **values}

    def flow(self) -> Any:
        """Returns the steps of the flow behind one spelling: the session is given already."""
        if self.place.door == "sync":
            return Given(self.pack.flow, self.session)
        return Plain(Given(self.pack.flow.aio, self.session), self.ground.runner)


class Given:
    """A flow whose session is given."""

    def __init__(self, flow: Any, session: Any) -> None:
        self._flow = flow
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: getattr(self._flow, name)(self._session, *args, **kwargs)


class Plain:
    """Something whose awaited results come as plain ones."""

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


class Units:
    """The units of work of a tenant, through one door, behind one spelling."""

    def __init__(self, ground: Ground, place: Place, side: str = "writer") -> None:
        self.ground = ground
        self.place = place
        self.pack = ground.pack(place)
        self.side = side
        self.slug = f"{side}-{place.cell}"

    def __getattr__(self, name: str) -> Any:
        if self.place.door == "sync":
            return lambda *args, **kwargs: getattr(self.pack, name)(self.slug, *args, **kwargs)
        unit = getattr(self.pack.aio, name)
        return lambda *args, **kwargs: self.ground.runner.run(unit(self.slug, *args, **kwargs))


@contextmanager
def opened(ground: Ground, place: Place, side: str = "acme") -> Iterator[Desk]:
    """Opens a session; nothing is committed, so the next test finds the rows as they were."""
    tenancy, slug = ground.pack(place).tenancy, f"{side}-{place.cell}"
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
