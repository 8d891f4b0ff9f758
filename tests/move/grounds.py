"""Three servers with seven places: two databases of PostgreSQL, and a directory of SQLite files."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from tenantry import Tenancy
from tenantry.models import Ownership, owned_tables
from tenantry.move import Move
from tenantry.settings import Config

from .models import Base, Behaviours, fill

# Where a tenant may live: server and isolation.
PLACES = {
    "rows": ("main", "rows"),
    "schema": ("main", "schema"),
    "database": ("main", "database"),
    "other rows": ("east", "rows"),
    "other schema": ("east", "schema"),
    "common file": ("disk", "rows"),
    "file": ("disk", "database"),
}
# One of each kind of database; a long run takes all.
QUICK = ("rows", "file")


def everywhere() -> Any:
    """Returns the mark by which a test is run at each place: at one of each kind of database, and at all in a soak."""
    given = [pytest.param(place, marks=() if place in QUICK else (pytest.mark.soak,)) for place in PLACES]
    return pytest.mark.parametrize("place", given)


# A place goes when no router remembers it.
BRIEF = Config(route_ttl=0.2)
ROLES = ("app", "operator", "platform")


def open_tenancy(urls: dict[str, str], *, config: Config | None = None, driver: str = "") -> tuple[Tenancy, Behaviours]:
    """Returns one more process' view of a ground, which *urls* describe."""
    logins = {f"{role}_url": urls[role] for role in ("owner", "operator", "platform")}
    tenancy = Tenancy(_with_driver(urls["app"], driver), models=Base, config=config or BRIEF, **logins)
    behaviours = Behaviours(tenancy)
    east = {f"{role}_url": _elsewhere(urls[role], urls["east"]) for role in ("owner", "operator", "platform")}
    tenancy.servers.add("east", _with_driver(_elsewhere(urls["app"], urls["east"]), driver), **east)
    tenancy.servers.add("disk", urls["disk"])
    return tenancy, behaviours


def _with_driver(url: str, driver: str) -> str:
    return url.replace("postgresql:", f"postgresql+{driver}:") if driver else url


def _elsewhere(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


class Ground:
    """The three servers installed, with a neighbour in each place that nobody may touch."""

    def __init__(self, postgres: Any, directory: Path) -> None:
        self._ends = ExitStack()
        self._mark = uuid.uuid4().hex[:8]
        self.postgres = postgres
        self.main = postgres.create_database()
        self.east = postgres.create_database()
        owner = Tenancy(postgres.url(self.main), models=Base)
        Behaviours(owner)
        owner.install()
        logins = {role: owner.create_login(f"move_{role}_{self._mark}", role=role) for role in ROLES}
        owner.close()
        self.urls = {"owner": postgres.url(self.main), **logins, "east": self.east, "disk": f"sqlite:///{directory}"}
        self.tenancy, self.behaviours = open_tenancy(self.urls)
        self.tenancy.install(create_tables=True)
        self.move = Move(self.tenancy)
        self.neighbours = {name: self.settle(f"by-{name.replace(' ', '-')}", name) for name in PLACES}

    def settle(self, slug: str, place: str, *, rows: int = 8) -> str:
        """Returns the slug of a new tenant that lives in a place, with something in every table."""
        server, isolation = PLACES[place]
        self.tenancy.tenants.create(slug, server=server, isolation=isolation, record={"name": slug})
        with self.tenancy.transaction(slug) as session:
            fill(self.behaviours, session, rows=rows)
        return slug

    def content(self, slug: str) -> dict[str, list[Any]]:
        """Returns every row of a tenant as its own sessions read it."""
        return content_of(self.tenancy, slug)

    def around(self) -> dict[str, dict[str, list[Any]]]:
        """Returns what the neighbours have."""
        return {slug: self.content(slug) for slug in self.neighbours.values()}

    def close(self) -> None:
        """Leaves nothing behind."""
        self.tenancy.close()
        with self.postgres.admin(self.main) as connection:
            own = connection.execute("select distinct tenant_id from tenantry.placements").fetchall()
        for (tenant,) in own:
            self.postgres.drop_database(f"t_{tenant.hex}")
        for name in (self.main, self.east):
            self.postgres.drop_database(name)
        with self.postgres.admin() as connection:
            for role in ROLES:
                connection.execute(f"DROP ROLE move_{role}_{self._mark}")


def content_of(tenancy: Tenancy, slug: str) -> dict[str, list[Any]]:
    """Returns every row of a tenant as its own sessions read it, in an order of its own."""
    tables = owned_tables(tenancy.metadata, Ownership.TENANT, Ownership.RECORD)
    with tenancy.session(slug) as session:
        return {table.name: sorted(map(tuple, session.execute(select(table))), key=repr) for table in tables}


@contextmanager
def opened(postgres: Any, directory: Path) -> Iterator[Ground]:
    """Opens a ground and leaves nothing behind."""
    ground = Ground(postgres, directory)
    try:
        yield ground
    finally:
        ground.close()
