"""Fleets to migrate: tenants of every kind on a PostgreSQL server and in a directory, under one catalog."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tenantry import Config, Tenancy
from tenantry.fleet import Fleet, Home, HomeKind
from tenantry.fleet.homes import homes_of

from .histories import HISTORIES, write_scripts
from .models import Base
from .plain import REVISIONS, TABLES, Place, PlainHistory

# What a tenant is made as, in turn: server and isolation.
KINDS = {"schema": ("pg", "schema"), "database": ("pg", "database"), "file": ("files", "database")}


class World:
    """An installation over a PostgreSQL database and a directory; the catalog is in one of them."""

    history = "plain"
    # None, or where the Alembic scripts are for whoever migrates; those who create tenants know of none.
    migrations: Path | None = None
    # Homes in which the history has nothing to do.
    beside: Collection[HomeKind] = ()

    def __init__(self, postgres: Any, directory: Path, *, catalog: str = "pg") -> None:
        self.postgres = postgres
        self.directory = directory
        self.catalog = catalog
        self.database = postgres.create_database()
        self._numbers = itertools.count(1)
        with contextlib.closing(self.tenancy()) as tenancy:
            tenancy.install(create_tables=True)

    @property
    def job(self) -> dict[str, str]:
        """What another process needs to open the same."""
        place = {"url": self.postgres.url(self.database), "directory": str(self.directory), "catalog": self.catalog}
        return place | ({"migrations": str(self.migrations)} if self.migrations else {})

    def tenancy(self) -> Tenancy:
        """Returns one more process' view of the installation."""
        return open_tenancy(self.job)

    def server(self, name: str) -> str:
        """Returns the name under which a server of this world is registered."""
        return "main" if name == self.catalog else name

    def fill(self, **counts: int) -> list[str]:
        """Creates tenants of each kind and returns their slugs, the kinds mixed."""
        kinds = sorted(Counter(counts).elements(), key=lambda kind: hash_of(kind, next(self._numbers)))
        with contextlib.closing(self.tenancy()) as tenancy:
            return [self.create(tenancy, kind) for kind in kinds]

    def create(self, tenancy: Tenancy, kind: str) -> str:
        """Creates one tenant and returns its slug."""
        server, isolation = KINDS[kind]
        slug = f"{kind}-{next(self._numbers)}"
        tenancy.tenants.create(slug, isolation=isolation, server=self.server(server))
        return slug

    @contextlib.contextmanager
    def fleet(self, **options: Any) -> Iterator[Fleet]:
        """Lends a fleet of this process."""
        with contextlib.closing(self.tenancy()) as tenancy:
            yield Fleet(tenancy, HISTORIES[self.history](tenancy, **options))

    def each_home(self, look: Callable[[Place], Any]) -> dict[Home, Any]:
        """Returns what *look* answers in each home."""
        with contextlib.closing(self.tenancy()) as tenancy:
            history = PlainHistory(tenancy)
            answers = {}
            homes = [home for home in homes_of(tenancy) if home.kind not in self.beside]
            with tenancy.servers.get(self.server("pg")).owner(action="Looking") as connection:
                for home in homes:
                    with history.opened(home, lent=connection) as place:
                        answers[home] = look(place)
            return answers

    def state(self) -> dict[str, tuple[str | None, Mapping[str, int]]]:
        """Returns of each home, by name, its revision and how often each revision ran there."""
        return {str(home): answer for home, answer in self.each_home(told).items()}

    def reset(self) -> None:
        """Takes every home back to before the first revision, and empties the journal of the fleet."""
        self.each_home(clear)
        with contextlib.closing(self.tenancy()) as tenancy, tenancy.catalog("Resetting") as connection:
            where = "tenantry." if self.catalog == "pg" else ""
            for table in ("fleet_work", "fleet_runs"):
                connection.exec_driver_sql(f"DELETE FROM {where}{table}")

    def poison(self, *slugs: str) -> None:
        """Makes the second revision fail in some tenants' homes."""
        with contextlib.closing(self.tenancy()) as tenancy:
            history = PlainHistory(tenancy)
            for home in homes_of(tenancy):
                if home.slug in slugs:
                    with history.opened(home) as place:
                        place.run("CREATE TABLE poison (x int)")

    def cure(self) -> None:
        """Takes the poison away."""
        self.each_home(lambda place: place.run("DROP TABLE IF EXISTS poison") and None)

    def close(self) -> None:
        """Drops every database and file of the world."""
        with self.postgres.admin(self.database) as connection:
            mark = f"tenantry: {self.database}"
            question = "select datname from pg_database d where shobj_description(d.oid, 'pg_database') = %s"
            own = connection.execute(question, (mark,)).fetchall()
        for (name,) in [*own, (self.database,)]:
            self.postgres.drop_database(name)
        shutil.rmtree(self.directory)


def open_tenancy(job: Mapping[str, str], *, owner: bool = True) -> Tenancy:
    """Returns a tenancy over both servers; the one that holds the catalog is its main one."""
    files, owner_url = f"sqlite:///{job['directory']}", job["url"] if owner else None
    config = Config(migrations=job.get("migrations"))
    if job["catalog"] == "pg":
        tenancy = Tenancy(job["url"], models=Base, owner_url=owner_url, config=config)
        tenancy.servers.add("files", files)
    else:
        tenancy = Tenancy(files, models=Base, config=config)
        tenancy.servers.add("pg", job["url"], owner_url=owner_url)
    return tenancy


def told(place: Place) -> tuple[str | None, Mapping[str, int]]:
    """Returns a home's revision, and how often each revision ran in it according to its own notes."""
    version = place.version() or place.version("alembic_version", "version_num")
    if version is None:
        return None, {}
    ran = Counter(place.rows("SELECT revision FROM ran"))
    assert place.rows("SELECT n FROM counter") == [ran.total()], "the counter and the notes disagree"
    return version, ran


def clear(place: Place) -> None:
    for table in TABLES:
        place.run(f"DROP TABLE IF EXISTS {table}")


def hash_of(kind: str, number: int) -> int:
    # Kinds in a fixed order that looks like none.
    return (number * 7919 + len(kind)) % 101


def check_once(world: World) -> None:
    """Every home is at head, and each revision ran there exactly once."""
    expected = ("r3", dict.fromkeys(REVISIONS, 1))
    beside = {home: found for home, found in world.state().items() if found != expected}
    assert beside == {}


class AlembicWorld(World):
    """The same fleet with its revisions as Alembic scripts."""

    history = "alembic"
    # The scripts are for homes with tenants' tables.
    beside = (HomeKind.PLATFORM,)

    def __init__(self, postgres: Any, directory: Path, *, scripts: Path) -> None:
        super().__init__(postgres, directory)
        write_scripts(scripts)
        self.migrations = scripts

    def reset(self) -> None:
        super().reset()
        with self.fleet() as fleet:
            fleet.stamp("base")
