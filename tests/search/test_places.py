"""A search stands wherever its table does: after migrations, in homes of before, after archives and moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.archive import Archive, KeyRing
from tenantry.doctor import examine
from tenantry.errors import SearchNotReady
from tenantry.fleet import Fleet
from tenantry.fleet.revisions import init
from tenantry.models import TenantOwned
from tenantry.move import Move
from tenantry.search import Search
from tenantry.settings import Config

EXTENSIONS = ("btree_gin", "pg_trgm")
PLACES: list[dict[str, str]] = [
    {"server": "main", "isolation": "schema"},
    {"server": "disk", "isolation": "database"},
    {"server": "main", "isolation": "rows"},
    {"server": "disk", "isolation": "rows"},
]


class House:
    """PostgreSQL and SQLite files, with a page in each tenant."""

    def __init__(self, url: str, directory: Path) -> None:
        class Base(DeclarativeBase):
            pass

        class Page(TenantOwned, Base):
            __tablename__ = "pages"

            title: Mapped[str] = mapped_column(String(100))

        self.page = Page
        config = Config(extensions=EXTENSIONS, route_ttl=0.2, demote=True)
        self.tenancy = Tenancy(url, models=Base, config=config)
        self.tenancy.servers.add("disk", f"sqlite:///{directory}/disk")
        self.search = Search(self.tenancy, Page, columns=["title"])
        self.tenancy.install(create_tables=True)
        self.archive = Archive(self.tenancy, directory / "archives", keys=KeyRing({"one": b"k" * 32}, "one"))

    def settle(self, slug: str, **where: Any) -> None:
        self.tenancy.tenants.create(slug, **where)
        with self.tenancy.transaction(slug) as session:
            session.add_all([self.page(title=f"owls of {slug}"), self.page(title="mice")])

    def content(self, slug: str) -> list[Any]:
        """Returns a tenant's rows, and what searches find among them."""
        with self.tenancy.session(slug) as session:
            rows = [tuple(row) for row in session.execute(text("SELECT id, title FROM pages ORDER BY title"))]
            found = self.search.query(session, "owls")
            alike = self.search.similar(session, f"ovls of {slug}")
            return [[title for _, title in rows], [hit.row.title for hit in found], [hit.row.title for hit in alike]]


@pytest.fixture(scope="module")
def house(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(module_database, tmp_path_factory.mktemp("house"))
    yield house
    house.tenancy.close()


def test_a_search_finds_the_same_wherever_a_tenant_is_moved(house: House) -> None:
    house.settle("mover", isolation="rows")
    house.settle("stayer", isolation="rows")
    before, move = house.content("mover"), Move(house.tenancy)
    assert before == [["mice", "owls of mover"], ["owls of mover"], ["owls of mover"]]
    for where in PLACES:
        move.start("mover", **where)  # type: ignore[arg-type]  # each is a text
        assert house.content("mover") == before
        move.finalize("mover")
    assert house.content("stayer")[1] == ["owls of stayer"]


@pytest.mark.parametrize("other", [{"server": "disk"}, {"isolation": "rows"}], ids=["disk", "rows"])
def test_a_backup_gives_back_what_is_found(house: House, other: dict[str, str]) -> None:
    slug = f"kept-{'disk' if 'server' in other else 'rows'}"
    house.settle(slug, isolation="schema")
    before = house.content(slug)
    archived = house.archive.backup(slug)
    with house.tenancy.transaction(slug) as session:
        session.execute(text("DELETE FROM pages"))
    assert house.content(slug)[1] == []
    house.archive.restore(slug, archived.name, in_place=True)
    assert house.content(slug) == before
    house.archive.restore(slug, archived.name, into=f"{slug}-again", **other)  # type: ignore[arg-type]  # texts
    with house.tenancy.session(f"{slug}-again") as session:
        assert [hit.row.title for hit in house.search.query(session, "owls")] == before[1]


def test_a_schema_with_a_search_is_erased_without_ado(house: House) -> None:
    house.settle("short-lived", isolation="schema")
    house.tenancy.tenants.erase("short-lived", confirm="short-lived")


def test_migrations_and_searches_leave_each_other_alone(postgres: Any, tmp_path: Path) -> None:
    class Base(DeclarativeBase):
        pass

    class Page(TenantOwned, Base):
        __tablename__ = "pages"

        title: Mapped[str] = mapped_column(String(100))

    scripts = tmp_path / "migrations"
    init(scripts, app="nowhere:tenancy")
    config = Config(extensions=EXTENSIONS, migrations=str(scripts), demote=True)
    with postgres.lend_database() as url:
        before = Tenancy(url, models=Base, config=config)
        before.install()
        Fleet(before).revision("pages")
        assert Fleet(before).upgrade().run.state == "done"
        before.tenants.create("old", isolation="schema")
        before.close()

        tenancy = Tenancy(url, models=Base, config=config)
        search, fleet = Search(tenancy, Page, columns=["title"]), Fleet(tenancy)
        assert list(fleet.check()) == []
        with tenancy.session("old") as session, pytest.raises(SearchNotReady):
            search.query(session, "owls")
        assert {found.code for found in examine(tenancy).findings} >= {"D509"}
        assert search.install() == 2
        tenancy.tenants.create("new", isolation="schema")
        assert list(fleet.check()) == []
        assert "D509" not in {found.code for found in examine(tenancy).findings}
        for slug in ("old", "new"):
            with tenancy.transaction(slug) as session:
                session.add(Page(title="owls"))
                assert len(search.query(session, "owls")) == 1

        path = fleet.revision("nothing new")
        assert "op." not in path.read_text().partition("def upgrade")[2]
        taken = "    op.search('pages', on=False)\n    op.alter_column('pages', 'title', type_=sa.Text())\n"
        path.write_text(path.read_text().replace("    pass\n", f"{taken}    op.search('pages')\n", 1))
        assert fleet.upgrade().run.state == "done"
        for slug in ("old", "new"):
            with tenancy.session(slug) as session:
                assert len(search.query(session, "owls")) == 1
        assert "D509" not in {found.code for found in examine(tenancy).findings}
        tenancy.close()
