"""What else happens to rows happens to their vectors: archives, moves between databases, purges, erased persons."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.archive import Archive, Erasing, KeyRing
from tenantry.doctor import examine
from tenantry.fleet import Fleet
from tenantry.fleet.revisions import init
from tenantry.models import TenantOwned, Timestamps
from tenantry.move import Move
from tenantry.outbox import Outbox, Relay
from tenantry.settings import Config
from tenantry.vectors import Mirror, Vectors

from .toys import Words

SUBJECTS = ("no paper in the printer", "the invoice is wrong", "mail arrives twice", "nobody can log in")


class House:
    """PostgreSQL, with pgvector where it is, and SQLite files; tickets that name a person are mirrored."""

    def __init__(self, url: str, directory: Path, extensions: tuple[str, ...]) -> None:
        class Base(DeclarativeBase):
            pass

        class Ticket(Timestamps, TenantOwned, Base, subject="requester"):
            __tablename__ = "tickets"

            text: Mapped[str]
            requester: Mapped[str] = mapped_column(default="ben@example.org")

        self.ticket = Ticket
        self.tenancy = Tenancy(url, models=Base, config=Config(extensions=extensions, route_ttl=0.2, demote=True))
        self.tenancy.servers.add("disk", f"sqlite:///{directory}/disk")
        self.outbox = Outbox(self.tenancy)
        self.vectors = Vectors(self.tenancy, "tickets", embedder=Words())
        self.mirror = Mirror(
            self.vectors, self.outbox, Ticket, text=lambda row: row.text, metadata=lambda row: {"by": row.requester}
        )
        self.tenancy.install(create_tables=True)
        keys = KeyRing({"one": b"k" * 32}, "one")
        self.archive = Archive(self.tenancy, directory / "archives", keys=keys)

    def settle(self, slug: str, **where: Any) -> None:
        self.tenancy.tenants.create(slug, **where)
        with self.tenancy.transaction(slug) as session:
            session.add_all([self.ticket(text=f"{text} {slug}") for text in SUBJECTS])
            session.add(self.ticket(text=f"anna asks {slug}", requester="anna@example.org"))
        self.deliver(slug)

    def deliver(self, slug: str) -> None:
        Relay(self.outbox).deliver(slug)

    def content(self, slug: str) -> list[Any]:
        """Returns every vector of a tenant's, bit by bit, and what a search finds."""
        table = self.vectors.store.table  # type: ignore[attr-defined]  # a TableStore
        columns = [column for column in table.columns if column.name != "tenant_id"]
        with self.tenancy.session(slug) as session:
            rows = [tuple(row) for row in session.execute(select(*columns).order_by(table.c.key))]
            hits = self.vectors.search(session, "printer paper", where={"by": "ben@example.org"})
        return [rows, [(hit.key, round(hit.score, 5), hit.metadata) for hit in hits]]


@pytest.fixture(scope="module")
def house(
    module_database: str, extensions: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    house = House(module_database, tmp_path_factory.mktemp("house"), extensions)
    yield house
    house.tenancy.close()


def test_vectors_move_between_the_databases_bit_by_bit(house: House) -> None:
    house.settle("mover", isolation="rows")
    house.settle("stayer", isolation="rows")
    before, beside, move = house.content("mover"), house.content("stayer"), Move(house.tenancy)
    assert len(before[0]) == 5
    assert len(before[1]) == 4
    for where in (
        {"server": "disk", "isolation": "database"},
        {"server": "main", "isolation": "schema"},
        {"server": "disk", "isolation": "rows"},
        {"server": "main", "isolation": "rows"},
    ):
        move.start("mover", **where)  # type: ignore[arg-type]  # each is a text
        assert house.content("mover") == before
        with house.tenancy.transaction("mover") as session:
            house.vectors.put(session, {"one more": "printer"})
        with house.tenancy.transaction("mover") as session:
            house.vectors.delete(session, ["one more"])
        move.finalize("mover")
    assert house.content("stayer") == beside


@pytest.mark.parametrize("other", [{"server": "disk"}, {"isolation": "rows"}], ids=["disk", "rows"])
def test_a_backup_holds_them_and_gives_them_back_anywhere(house: House, other: dict[str, str]) -> None:
    slug = f"kept-{'disk' if 'server' in other else 'rows'}"
    house.settle(slug, isolation="schema")
    before = house.content(slug)
    archived = house.archive.backup(slug)
    with house.tenancy.transaction(slug) as session:
        house.vectors.delete(session, list(house.vectors.known(session))[:3])
    house.archive.restore(slug, archived.name, in_place=True)
    assert house.content(slug) == before
    house.archive.restore(slug, archived.name, into=f"{slug}-again", **other)  # type: ignore[arg-type]  # texts
    assert house.content(f"{slug}-again") == before


@pytest.mark.parametrize("where", [{"isolation": "rows"}, {"server": "disk"}], ids=["postgresql", "sqlite"])
def test_an_erased_person_is_in_no_vector_any_more(house: House, where: dict[str, str]) -> None:
    slug = f"erased-{'disk' if 'server' in where else 'rows'}"
    house.settle(slug, **where)
    erasing = Erasing(house.archive, copies=[house.mirror])
    certificate = erasing.person(slug, "anna@example.org")
    assert certificate.clean
    with house.tenancy.session(slug) as session:
        assert len(house.vectors.known(session)) == 4
        assert house.vectors.search(session, "anna", where={"by": "anna@example.org"}) == []
    assert house.mirror.forget(house.tenancy.tenants.get(slug).id, ["anna@example.org"]) == 0


def test_purged_rows_lose_their_vectors(house: House) -> None:
    house.settle("purged", isolation="rows")
    column = house.ticket.requester
    with house.tenancy.purging("purged", reason="a test") as purge:
        purge.delete(house.ticket.__table__, column == "anna@example.org")
    house.deliver("purged")
    with house.tenancy.session("purged") as session:
        assert len(house.vectors.known(session)) == 4


def test_a_purge_is_done_though_its_vectors_could_not_be_told(
    house: House, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    house.settle("silent", isolation="database", server="disk")
    tenant = house.tenancy.tenants.get("silent")
    (path,) = tmp_path_factory.getbasetemp().rglob(f"{tenant.id.hex}.sqlite3")
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("drop table outbox_events")
    older = {"older_than": timedelta(0), "column": "created_at"}
    assert (
        house.tenancy.purge("silent", house.ticket, house.ticket.requester == "anna@example.org", **older, reason="x")
        == 1
    )
    assert "not noted for a refresh: OperationalError" in caplog.text
    with house.tenancy.session("silent") as session:
        assert len(session.scalars(select(house.ticket)).all()) == 4


@pytest.mark.soak
def test_the_doctor_finds_no_fault_with_them(house: House) -> None:
    house.settle("looked-at", isolation="database")
    try:
        faults = [finding for finding in examine(house.tenancy).findings if finding.code.startswith("D")]
        assert [finding for finding in faults if "vector" in f"{finding.object}{finding.message}"] == []
    finally:
        house.tenancy.tenants.erase("looked-at", confirm="looked-at")


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
@pytest.mark.soak
def test_a_generated_migration_makes_their_tables_as_the_models_say(
    postgres: Any, extensions: tuple[str, ...], tmp_path: Path, kind: str
) -> None:
    class Base(DeclarativeBase):
        pass

    init(tmp_path / "migrations", app="nowhere:tenancy")
    with postgres.lend_database() as server:
        url = server if kind == "postgresql" else f"sqlite:///{tmp_path}/data"
        config = Config(extensions=extensions, migrations=str(tmp_path / "migrations"), demote=True)
        tenancy = Tenancy(url, models=Base, config=config)
        pages = Vectors(tenancy, "pages", dimensions=3)
        tenancy.install()
        fleet = Fleet(tenancy)
        fleet.revision("vectors")
        assert fleet.upgrade().run.state == "done"
        tenancy.tenants.create("acme", isolation="schema" if kind == "postgresql" else "database")
        assert list(fleet.check()) == []
        with tenancy.transaction("acme") as session:
            pages.put(session, {"one": [1.0, 2.0, 2.0]})
            assert pages.search(session, [1.0, 2.0, 2.0])[0].score == pytest.approx(1.0, abs=1e-6)
        assert fleet.downgrade("base").run.state == "done"
        tenancy.close()
