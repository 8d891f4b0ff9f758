"""The meetings in every cell: two workspaces with the same people, and sessions of one of them through each door."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenantry import Tenancy, TenantSession
from tenantry.packs import meetings
from tenantry.packs.meetings import AccountMapping, CRMConnection, Meetings, MeetingsBase, MeetingSession, Note, User

CELLS = {
    "postgresql-rows": "rows",
    "postgresql-schema": "schema",
    "postgresql-database": "database",
    "sqlite-file": "database",
    "sqlite-rows": "rows",
}
SIDES = ("acme", "rival")


@dataclass(frozen=True, slots=True)
class Place:
    """A cell and the door through which it is entered."""

    cell: str
    door: str

    def __str__(self) -> str:
        return f"{self.cell}-{self.door}"


SYNC = [Place(cell, "sync") for cell in CELLS]
# Where a door makes no difference each cell once; where it might, each driver once more.
PLACES = [
    *SYNC,
    Place("postgresql-schema", "psycopg"),
    Place("postgresql-rows", "asyncpg"),
    Place("sqlite-file", "aiosqlite"),
]


class Book:
    """A CRM that remembers the notes it was given; what is in *refusing* it raises, once each."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.refusing: list[Exception] = []

    def write_note(self, note: Note) -> str:
        if self.refusing:
            raise self.refusing.pop()
        self.notes.append(note)
        return f"note-{len(self.notes)}"


class Ground:
    """Both databases; in each cell ``acme-<cell>``, whom the tests are, and ``rival-<cell>``, the neighbour."""

    def __init__(self, server: Any, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self.book = Book()
        self._ends = ExitStack()
        url = self._ends.enter_context(server.lend_database())
        logins = self._logins(server, url)
        self.app_url = app = logins.pop("app_url")
        self._tenancies = {
            "sqlite": Tenancy(f"sqlite:///{directory}", models=MeetingsBase),
            "psycopg": Tenancy(app, models=MeetingsBase, owner_url=url, **logins),
            "asyncpg": Tenancy(
                app.replace("postgresql:", "postgresql+asyncpg:"), models=MeetingsBase, owner_url=url, **logins
            ),
        }
        crms = {"hubspot": self.book}
        self._packs = {name: Meetings(tenancy, crms=crms) for name, tenancy in self._tenancies.items()}
        for name in ("sqlite", "psycopg"):
            self._tenancies[name].install(create_tables=True)
        for place in SYNC:
            for side in SIDES:
                self._settle(place, side)

    def pack(self, place: Place) -> Meetings:
        """Returns the meetings over the driver that the place names."""
        if place.cell.startswith("sqlite"):
            return self._packs["sqlite"]
        return self._packs["asyncpg" if place.door == "asyncpg" else "psycopg"]

    def tenancy(self, place: Place) -> Tenancy:
        return self.pack(place).tenancy

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

    def _logins(self, server: Any, url: str) -> dict[str, str]:
        owner = Tenancy(url, models=MeetingsBase)
        owner.install()
        names = {role: f"meetings_{role}_{uuid.uuid4().hex[:8]}" for role in ("app", "operator", "platform")}
        urls = {f"{role}_url": owner.create_login(name, role=role) for role, name in names.items()}
        owner.close()
        self._ends.callback(_drop_roles, server, list(names.values()))
        return urls

    def _settle(self, place: Place, side: str) -> None:
        pack, team = self.pack(place), team_of(side, place)
        more = {"plan_tier": "pro", "isolation": CELLS[place.cell]}
        tenant = pack.workspaces.install(team, side.title(), **more)
        pack.tenancy.tenants.rename(tenant, f"{side}-{place.cell}")
        with pack.tenancy.transaction(tenant) as session:
            user = User(slack_user_id="U1", slack_email=f"ann@{side}.example", role="admin")
            session.add(user)
            connection = pack.connections.connect(
                session, "hubspot", "env:MEETINGS_TEST_TOKEN", connected_by_user_id=user.id, connection_name=side
            )
            session.add_all(
                [
                    AccountMapping(
                        crm_connection_id=connection.id, email_domain="Globex.example", crm_account_id=f"{side}-globex"
                    ),
                    MeetingSession(fathom_meeting_id="f-1", title=f"Kick-off of {side}", user_id=user.id),
                ]
            )


def team_of(side: str, place: Place) -> str:
    return f"T{side}{place.cell}".upper().replace("-", "")


class Room:
    """A session of one workspace; what both doors can do is spelt the same here, without ``await``."""

    def __init__(self, ground: Ground, place: Place, session: Any) -> None:
        self.ground = ground
        self.place = place
        self.session = session
        self.pack = ground.pack(place)

    def repository(self, name: str) -> Any:
        """Returns the repository called so, or its awaited face behind the same spelling."""
        awaited = self.place.door != "sync"
        made = getattr(meetings, f"Async{name}" if awaited else name)(self.session)
        return Plain(made, self.ground.runner) if awaited else made

    def service(self, name: str) -> Any:
        """Returns the pack's service called so, bound to the session, or its awaited face behind the same spelling."""
        if self.place.door == "sync":
            return Bound(getattr(self.pack, name), self.session)
        return Bound(Plain(getattr(self.pack.aio, name), self.ground.runner), self.session)

    def run(self, work: Callable[[TenantSession], Any]) -> Any:
        """Runs *work* with the synchronous session."""
        if self.place.door == "sync":
            return work(self.session)
        return self.ground.runner.run(self.session.run_sync(work))


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


class Bound:
    """A service whose methods get the session first."""

    def __init__(self, target: Any, session: Any) -> None:
        self._target = target
        self._session = session

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        return lambda *args, **kwargs: method(self._session, *args, **kwargs)


@contextmanager
def opened(ground: Ground, place: Place, side: str = "acme") -> Iterator[Room]:
    """Opens a session; nothing is committed, so the next test finds the rows as they were."""
    tenancy, slug = ground.tenancy(place), f"{side}-{place.cell}"
    if place.door == "sync":
        with tenancy.session(slug) as session:
            yield Room(ground, place, session)
        return
    manager = tenancy.aio.session(slug)
    session = ground.runner.run(manager.__aenter__())
    try:
        yield Room(ground, place, session)
    finally:
        ground.runner.run(manager.__aexit__(None, None, None))


def connection_of(session: TenantSession) -> CRMConnection:
    found = session.query(CRMConnection).one()
    assert isinstance(found, CRMConnection)
    return found


def _drop_roles(server: Any, names: list[str]) -> None:
    with server.admin() as connection:
        for name in names:
            connection.execute(f'DROP ROLE "{name}"')
