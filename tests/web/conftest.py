"""One ground for the room, and the shop behind a socket for each asynchronous driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from cells import CELLS, PLACES, Ground, Place, opened
from sqlalchemy import select

from tenantry.web import from_header, from_jwt, from_path, from_subdomain

from .models import Base, Ticket
from .serving import Server, serving
from .shop import Parts, application
from .tokens import Signed

SHOPS = [place for place in PLACES if place.door != "sync"]
# One for each driver, for what does not differ by the cell.
DRIVERS = [
    Place("postgresql-rows", "psycopg"),
    Place("postgresql-schema", "asyncpg"),
    Place("sqlite-rows", "aiosqlite"),
]


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("web"), Base, Parts) as ground:
        for cell in CELLS:
            for side in ("near", "far"):
                with ground.session(Place(cell, "sync"), side) as door:
                    door.session.add(Ticket(subject=f"{side}-{cell}"))
                    door.commit()
        yield ground


@pytest.fixture(scope="package")
def tokens() -> Signed:
    return Signed()


@pytest.fixture(scope="package")
def parts(ground: Ground) -> Callable[[str], Parts]:
    """The parts of the tenancy with a driver, which no other event loop uses."""
    made: dict[str, Parts] = {}

    def find(door: str) -> Parts:
        if door not in made:
            logins = dict(ground.urls)
            app_url = logins.pop("app_url")
            url = app_url.replace("postgresql:", "postgresql+asyncpg:") if door == "asyncpg" else app_url
            tenancy = ground.open(ground.sqlite_url) if door == "aiosqlite" else ground.open(url, **logins)
            made[door] = ground._made[id(tenancy)]
        return made[door]

    return find


@pytest.fixture(scope="package")
def serve(parts: Callable[[str], Parts], tokens: Signed) -> Iterator[Callable[..., Server]]:
    """The shop with a driver and an HTTP parser, served once for all tests."""
    with ExitStack() as ends:
        running: dict[tuple[str, str], Server] = {}

        def find(door: str, http: str = "h11") -> Server:
            if (door, http) not in running:
                running[door, http] = ends.enter_context(serving(shop_of(parts(door), tokens), http=http))
            return running[door, http]

        yield find
        ends.close()


def shop_of(parts: Parts, tokens: Any, **options: Any) -> Any:
    """Returns the shop with every resolver there is."""
    resolvers = [
        from_jwt(tokens, required=False),
        from_header("X-Tenant"),
        from_subdomain("example.com"),
        from_path("/t/{tenant}"),
    ]
    return application(parts, resolvers, **options)


@pytest.fixture(params=SHOPS, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def shop(place: Place, serve: Callable[..., Server]) -> Server:
    return serve(place.door)


def subjects(ground: Ground, place: Place, side: str = "near") -> list[str]:
    """Returns what a tenant really has, read past the web."""
    with ground.session(Place(place.cell, "sync"), side) as door:
        return list(door.session.scalars(select(Ticket.subject)))
