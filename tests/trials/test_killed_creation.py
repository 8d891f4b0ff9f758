"""A creation killed at any step leaves nothing half-made: the next call finishes it or removes it."""

from __future__ import annotations

import contextlib
import random
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Program
from sqlalchemy import select, text

from tenantry import Tenancy
from tenantry.ids import physical_file, physical_name

from .installations import Installation, PostgresInstallation, SqliteInstallation
from .models import Company, Ticket

STEPS = ("register", "place", "note placed", "record", "note recorded", "activate", "done")
PLACES = ("rows", "schema", "database", "file", "common file")


class Nursery:
    """The program that creates and is killed."""

    calls = 0

    def __init__(self) -> None:
        self._program = Program(Path(__file__).with_name("creating.py"))
        self.close = self._program.close

    def create(self, **job: Any) -> tuple[int, str]:
        """Returns the child's exit status and the identifier of the tenant it began; notes how many calls it made."""
        ended = self._program.ask(job)
        self.calls = ended.get("calls", 0)
        return ended["status"], ended.get("begun", "")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def sites(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Installation]]:
    """Where tenants are created, by kind of database."""
    server = PostgresInstallation(postgres)
    yield {"postgresql": server, "sqlite": SqliteInstallation(tmp_path_factory.mktemp("killed") / "data")}
    server.close()


class Site:
    """One installation, and one isolation of it in which creations are killed."""

    def __init__(self, place: str, sites: dict[str, Installation]) -> None:
        self.on_sqlite = "file" in place
        self.isolation = {"file": "database", "common file": "rows"}.get(place, place)
        self.installation = sites["sqlite" if self.on_sqlite else "postgresql"]

    @property
    def urls(self) -> dict[str, str]:
        if isinstance(self.installation, PostgresInstallation):
            return {"url": self.installation.urls["app"], "owner_url": self.installation.owner_url}
        assert isinstance(self.installation, SqliteInstallation)
        return {"url": f"sqlite:///{self.installation.directory}"}

    def create(self, slug: str) -> Tenancy:
        """Creates a tenant in this process, which cleans up after the others, and returns the tenancy."""
        tenancy = self.installation.tenancy()
        tenancy.tenants.create(slug, isolation=self.isolation, record={"name": slug})
        return tenancy

    def traces(self, tenant: str) -> list[str]:
        """Returns what is left of a tenant anywhere: catalog rows, schema, database, file, record."""
        identifier = uuid.UUID(tenant)
        return self._on_sqlite(identifier) if self.on_sqlite else self._on_postgres(identifier)

    def _on_postgres(self, tenant: uuid.UUID) -> list[str]:
        assert isinstance(self.installation, PostgresInstallation)
        questions = {
            "catalog": f"select 1 from tenantry.tenants where id = '{tenant}'",
            "placement": f"select 1 from tenantry.placements where tenant_id = '{tenant}'",
            "journal": f"select 1 from tenantry.journal where tenant_id = '{tenant}'",
            "schema": f"select 1 from pg_namespace where nspname = '{physical_name(tenant)}'",
            "database": f"select 1 from pg_database where datname = '{physical_name(tenant)}'",
            "record": f"select 1 from public.companies where id = '{tenant}'",
        }
        with self.installation.server.admin(self.installation.database) as connection:
            return [name for name, question in questions.items() if connection.execute(question).fetchone()]

    def _on_sqlite(self, tenant: uuid.UUID) -> list[str]:
        assert isinstance(self.installation, SqliteInstallation)
        file = self.installation.directory / physical_file(tenant)
        found = [path.name for path in file.parent.glob(f"*{tenant.hex}*")] if file.parent.exists() else []
        with contextlib.closing(self.installation.tenancy()) as tenancy:
            with tenancy.servers.main.connection("catalog.sqlite3") as connection:
                for table, column in {"tenants": "id", "placements": "tenant_id", "journal": "tenant_id"}.items():
                    question = text(f"select 1 from {table} where {column} = :t")
                    found += [table] if connection.execute(question, {"t": tenant.hex}).first() else []
            with tenancy.operator("looking for leftovers") as db:
                kept = db.execute(text("select 1 from companies where id = :t"), {"t": tenant.hex}).first()
        return [*found, "record"] if kept else found

    def check_usable(self, tenancy: Tenancy, slug: str) -> None:
        """Writes and reads as the tenant, and sees the one record it was created with."""
        with tenancy.transaction(slug) as db:
            db.add(Ticket(subject=slug))
        with tenancy.session(slug) as db:
            assert [ticket.subject for ticket in db.scalars(select(Ticket))] == [slug]
            assert [company.name for company in db.scalars(select(Company))] == [slug]

    def check_none_unfinished(self, tenancy: Tenancy) -> None:
        assert {tenant.status.value for tenant in tenancy.tenants.list(limit=10_000)} <= {"active"}


def name_one() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def check_resumed(site: Site, nursery: Nursery, slug: str, begun: str) -> None:
    """The same slug again: one whole tenant, whether the killed creation had come far or not."""
    with contextlib.closing(site.installation.tenancy()) as looking:
        finished = {tenant.slug for tenant in looking.tenants.list(limit=10_000) if tenant.status.value == "active"}
    tenancy = site.installation.tenancy() if slug in finished else site.create(slug)
    with contextlib.closing(tenancy):
        site.check_usable(tenancy, slug)
        site.check_none_unfinished(tenancy)
        if begun and str(tenancy.tenants.get(slug).id) != begun:
            assert site.traces(begun) == []


def check_removed(site: Site, nursery: Nursery, slug: str, begun: str) -> None:
    """Another slug: nothing is left of the killed creation, unless it had been finished."""
    other = name_one()
    with contextlib.closing(site.create(other)) as tenancy:
        site.check_usable(tenancy, other)
        site.check_none_unfinished(tenancy)
        if slug not in {tenant.slug for tenant in tenancy.tenants.list(limit=10_000)} and begun:
            assert site.traces(begun) == []


@pytest.mark.mainly("rows", "schema", "embedded-file")
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("place", PLACES)
def test_a_creation_killed_at_a_step_is_finished_or_removed(
    sites: dict[str, Installation], nursery: Nursery, place: str, step: str
) -> None:
    site = Site(place, sites)
    for check in (check_resumed, check_removed):
        slug = name_one()
        status, begun = nursery.create(slug=slug, isolation=site.isolation, step=step, **site.urls)
        assert status == -signal.SIGKILL
        check(site, nursery, slug, begun)


def kill_at_random(site: Site, nursery: Nursery, *, kills: int) -> int:
    dice, killed = random.Random(13), 0
    assert nursery.create(slug=name_one(), isolation=site.isolation, **site.urls)[0] == 0
    whole = nursery.calls
    for check in [check_resumed, check_removed] * (kills // 2):
        slug = name_one()
        calls = dice.randrange(1, whole)
        status, begun = nursery.create(slug=slug, isolation=site.isolation, calls=calls, **site.urls)
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
        check(site, nursery, slug, begun)
    return killed


@pytest.mark.parametrize("place", PLACES)
def test_a_creation_killed_anywhere_is_finished_or_removed(
    sites: dict[str, Installation], nursery: Nursery, place: str
) -> None:
    assert kill_at_random(Site(place, sites), nursery, kills=4) > 0


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
def test_fifty_creations_killed_anywhere_are_finished_or_removed(
    sites: dict[str, Installation], nursery: Nursery, place: str
) -> None:
    killed = kill_at_random(Site(place, sites), nursery, kills=50)
    print(f"\n{place}: {killed} of 50 killed")
    assert killed >= 20


def test_a_killed_creation_is_seen(sites: dict[str, Installation], nursery: Nursery) -> None:
    """The control: before anyone cleans up, the traces of a killed creation are there to be found."""
    for place, expected in {"schema": "schema", "database": "database", "rows": "journal", "file": "journal"}.items():
        site = Site(place, sites)
        _, begun = nursery.create(slug=name_one(), isolation=site.isolation, step="record", **site.urls)
        assert expected in site.traces(begun)
