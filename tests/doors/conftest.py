"""One ground for every test of doors: in each cell two workspaces, each with two members and a note of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import pytest
from cells import CELLS, PLACES, SYNC_PLACES, Ground, Place, opened

from tenantry import Config
from tenantry.doors import Door
from tenantry.types import Isolation

from .models import IDENTITIES, Base, Member, Note, Workspace


@dataclass(frozen=True)
class Cell:
    """A place with its door, and the ids of the two tenants that are there."""

    ground: Ground
    place: Place
    door: Door[Any]
    near: uuid.UUID
    far: uuid.UUID

    def run(self, work: Callable[[Any], Any], key: Any = None) -> Any:
        """Runs *work* with a session of the door that names no tenant, unless *key* does; nothing is committed."""
        if self.place.door == "sync":
            with self.door.session(key) as session:
                return work(session)

        async def awaited() -> Any:
            async with self.door.aio.session(key) as session:
                return await session.run_sync(work)

        return self.ground.runner.run(awaited(), context=copy_context())

    def commit(self, work: Callable[[Any], Any], key: Any = None) -> Any:
        """Does the same in a transaction of the door, which commits."""
        if self.place.door == "sync":
            with self.door.transaction(key) as session:
                return work(session)

        async def awaited() -> Any:
            async with self.door.aio.transaction(key) as session:
                return await session.run_sync(work)

        return self.ground.runner.run(awaited(), context=copy_context())

    def team(self, side: str = "near") -> str:
        return f"T-{side}-{self.place.cell}"


def fill(session: Any) -> None:
    slug = session.tenant.slug
    workspace = Workspace(name=slug, team_id=f"T-{slug}")
    session.add_all([workspace, Note(text=f"of {slug}")])
    session.add_all([Member(email=f"{who}@{slug}", workspace=workspace) for who in ("ann", "bob")])


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    # Tests make tenants of the same names, one after the other, so no name may rest.
    config = Config(route_ttl=0.0)
    with opened(postgres, tmp_path_factory.mktemp("doors"), Base, lambda _: None, config=config) as ground:
        # The context in which it first runs is the runner's for life: here, and not inside some request's.
        ground.runner.run(asyncio.sleep(0))
        for cell in CELLS:
            tenancy = ground.tenancy(Place(cell, "sync"))
            for side in ("near", "far"):
                slug = f"{side}-{cell}"
                tenancy.tenants.add_identity(slug, "team", f"T-{slug}")
                with tenancy.transaction(slug) as session:
                    fill(session)
        yield ground


# Each cell and each driver in every run, and every cell through every door in a soak.
_QUICK = (
    *SYNC_PLACES[::2],
    Place("postgresql-schema", "psycopg"),
    Place("postgresql-rows", "asyncpg"),
    Place("sqlite-file", "aiosqlite"),
)
_EVERYWHERE: list[Any] = [
    pytest.param(place, marks=() if place in _QUICK else (pytest.mark.soak,), id=str(place)) for place in PLACES
]


@pytest.fixture(params=_EVERYWHERE)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def cell(ground: Ground, place: Place) -> Cell:
    tenancy = ground.tenancy(place)
    door: Door[Any] = Door("tests", Base, identities=IDENTITIES, isolation=Isolation(CELLS[place.cell]))
    door.use(tenancy)
    near, far = (tenancy.tenants.get(f"{side}-{place.cell}").id for side in ("near", "far"))
    return Cell(ground, place, door, near, far)
