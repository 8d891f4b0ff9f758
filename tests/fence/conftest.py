"""One ground for the room, and a tenant of a test's own in one of its cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cells import CELLS, Ground, Place, opened

from tenantry import Tenancy, Tenant
from tenantry.ids import uuid7
from tenantry.isolation import fencing
from tenantry.isolation.servers import Server

from .models import Base


@dataclass(frozen=True, slots=True)
class Case:
    """A tenant that a test may fence, and the neighbour that must not feel it."""

    ground: Ground
    place: Place
    tenant: Tenant

    @property
    def tenancy(self) -> Tenancy:
        return self.ground.tenancy(self.place)

    @property
    def server(self) -> Server:
        return self.tenancy.servers.get(self.tenant.server)

    @property
    def neighbour(self) -> str:
        return f"far-{self.place.cell}"

    def do(self, work: Callable[[Any], Any], key: Any = None, **options: Any) -> Any:
        """Returns what *work* does in a transaction of the tenant's, or of another, through the place's door."""
        found = self.tenant.id if key is None else key
        if self.place.door == "sync":
            with self.tenancy.session(found, **options) as session:
                result = work(session)
                session.commit()
                return result
        return self.ground.runner.run(self._do(work, found, options))

    async def _do(self, work: Callable[[Any], Any], key: Any, options: dict[str, Any]) -> Any:
        async with self.tenancy.aio.session(key, **options) as session:
            result = await session.run_sync(work)
            await session.commit()
            return result


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("fence"), Base, lambda _: None) as ground:
        yield ground


@pytest.fixture(scope="package")
def residents(ground: Ground) -> Iterator[dict[str, Tenant]]:
    """A tenant in each cell; making a database for every test would take longer than the test."""
    made = {}
    for cell, isolation in CELLS.items():
        tenancy = ground.tenancy(Place(cell, "sync"))
        made[cell] = tenancy.tenants.create(f"r{uuid7().hex}", isolation=isolation)
    yield made
    for cell, tenant in made.items():
        ground.tenancy(Place(cell, "sync")).tenants.erase(tenant.id, confirm=tenant.slug)


@pytest.fixture
def case(ground: Ground, residents: dict[str, Tenant], place: Place) -> Iterator[Case]:
    found = Case(ground, place, residents[place.cell])
    yield found
    fencing.lift(found.server, found.tenant)
