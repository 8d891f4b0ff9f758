"""A search stands wherever its table does: after migrations, in homes of before, after archives and moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.archive import Archive, KeyRing
from tenantry.doctor import examine
from tenantry.errors import SearchNotReady, TenantMoved
from tenantry.fleet import Fleet
from tenantry.fleet.revisions import init
from tenantry.isolation.searching import SEARCH
from tenantry.models import TenantOwned
from tenantry.move import Move
from tenantry.search import Search
from tenantry.settings import Config

from .library import CONFIG, Room
from .library import Base as Library

EXTENSIONS = ("btree_gin", "pg_trgm")
PLACES: list[dict[str, str]] = [
    {"server": "main", "isolation": "schema"},
    {"server": "disk", "isolation": "database"},
    {"server": "main", "isolation": "rows"},
    {"server": "disk", "isolation": "rows"},
]


JOINS = {"kinds": ["enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material"]}


class House:
    """PostgreSQL and SQLite files, with a page in each tenant."""

    def __init__(self, url: str, directory: Path) -> None:
        class Base(DeclarativeBase):
            pass

        class Page(TenantOwned, Base):
            __tablename__ = "pages"

            title: Mapped[str] = mapped_column(String(100))

        self.page, self.base, self.url, self.directory = Page, Base, url, directory
        self.config = Config(extensions=EXTENSIONS, route_ttl=0.2, demote=True)
        self.tenancy = Tenancy(url, models=Base, config=self.config)
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


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(PLACES[1:3], id="to a file and back"),
        pytest.param([PLACES[0], PLACES[3], PLACES[1]], id="everywhere else", marks=pytest.mark.soak),
    ],
)
def test_a_search_finds_the_same_wherever_a_tenant_is_moved(house: House, places: list[dict[str, str]]) -> None:
    slug = f"mover-{len(places)}"
    house.settle(slug, isolation="rows")
    house.settle(f"not-{slug}", isolation="rows")
    before, move = house.content(slug), Move(house.tenancy)
    assert before == [["mice", f"owls of {slug}"], [f"owls of {slug}"], [f"owls of {slug}"]]
    for where in places:
        move.start(slug, **where)  # type: ignore[arg-type]  # each is a text
        assert house.content(slug) == before
        move.finalize(slug)
    assert house.content(f"not-{slug}")[1] == [f"owls of not-{slug}"]


@pytest.mark.parametrize("isolation", ["rows", pytest.param("schema", marks=pytest.mark.soak)])
def test_who_searches_where_a_tenant_has_left_is_told(house: House, isolation: str) -> None:
    slug = f"gone-from-{isolation}"
    house.settle(slug, isolation=isolation)
    with closing(Tenancy(house.url, models=house.base, config=replace(house.config, route_ttl=600))) as stale:
        stale.servers.add("disk", f"sqlite:///{house.directory}/disk")
        with stale.session(slug) as session:
            assert len(house.search.query(session, "owls")) == 1
        Move(house.tenancy).start(slug, server="disk", isolation="database")
        with stale.session(slug) as session:
            for method in (house.search.query, house.search.similar):
                for words in ("owls", "nothing of the kind"):
                    # As a large table is read: by the keys that were found, and so not at all where none was.
                    session.execute(
                        text("SELECT set_config(name, 'off', true) FROM unnest(CAST(:kinds AS text[])) AS name"), JOINS
                    )
                    with pytest.raises(TenantMoved):
                        method(session, words)
                    session.rollback()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"server": "disk"}, id="disk"),
        pytest.param({"isolation": "rows"}, id="rows", marks=pytest.mark.soak),
    ],
)
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
    # By a process, too, that made none.
    noted = house.page.__table__.info.pop(SEARCH)
    try:
        with closing(Tenancy(house.url, models=house.base, config=house.config)) as other:
            other.tenants.erase("short-lived", confirm="short-lived")
    finally:
        house.page.__table__.info[SEARCH] = noted


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
        assert {found in path.name for found in fleet.current().values()} == {True}
        for slug in ("old", "new"):
            with tenancy.session(slug) as session:
                assert len(search.query(session, "owls")) == 1
        assert "D509" not in {found.code for found in examine(tenancy).findings}
        tenancy.close()


def test_an_installation_does_not_wait_for_the_columns_of_a_search(postgres: Any) -> None:
    with (
        postgres.lend_database() as url,
        closing(Tenancy(url, models=Library, config=replace(CONFIG, demote=True))) as tenancy,
    ):
        Room(tenancy)
        tenancy.install(create_tables=True)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE papers DROP COLUMN tenantry_search, DROP COLUMN content")
            tenancy.install()
            assert [found.object for found in examine(tenancy).findings if found.code == "D509"] == ["public.papers"]
            connection.execute("ALTER TABLE papers ADD COLUMN content varchar")
        tenancy.install()
        assert [found for found in examine(tenancy).findings if found.code == "D509"] == []
