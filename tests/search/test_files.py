"""A tenant's own SQLite file is searched by an index, which stays right whatever is done to the file."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ForeignKey, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tenantry import Tenancy
from tenantry.archive import Archive, Erasing, KeyRing
from tenantry.doctor import examine
from tenantry.errors import SearchNotReady, SurprisingErase
from tenantry.fleet import Fleet
from tenantry.fleet.revisions import init
from tenantry.isolation.searching_sqlite import index_statements
from tenantry.isolation.sqlite_library import LibraryConnection
from tenantry.models import TenantOwned
from tenantry.search import Search
from tenantry.search.files import query_of
from tenantry.settings import Config

INDEX = "tenantry_find_pages_words"


class House:
    """A directory of files, with pages and the books that they are of; *known* says that its process has the search."""

    def __init__(self, directory: Path, *, known: bool = True, **options: Any) -> None:
        class Base(DeclarativeBase):
            pass

        class Book(TenantOwned, Base):
            __tablename__ = "books"

            name: Mapped[str]

        class Page(TenantOwned, Base):
            __tablename__ = "pages"

            title: Mapped[str] = mapped_column(String(100))
            content: Mapped[str | None]
            book_id: Mapped[Any] = mapped_column(ForeignKey("books.id", ondelete="CASCADE"), nullable=True)

        self.directory, self.book, self.page, self.slug = directory, Book, Page, "near"
        self.tenancy = Tenancy(f"sqlite:///{directory}", models=Base, **options)
        self.search = Search(self.tenancy, Page, columns=["title", "content"]) if known else None

    @property
    def file(self) -> Path:
        return self.directory / self.tenancy.tenants.get(self.slug).physical

    def run(self, *statements: str) -> None:
        """Runs statements as the library does, past the sessions."""
        with closing(sqlite3.connect(self.file, factory=LibraryConnection)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def found(self, words: str) -> list[str]:
        assert self.search is not None
        with self.tenancy.session(self.slug) as session:
            return sorted(hit.row.title for hit in self.search.query(session, words, limit=100))

    def write(self, *titles: str) -> None:
        with self.tenancy.transaction(self.slug) as session:
            session.add_all([self.page(title=title) for title in titles])

    def faults(self) -> list[Any]:
        return [found for found in examine(self.tenancy).findings if found.code[0] == "D"]

    def is_right(self) -> bool:
        """Whether the index holds the words of the rows, no more and no fewer."""
        try:
            self.run(f"INSERT INTO {INDEX} ({INDEX}, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            return False
        return self.faults() == []


@pytest.fixture(scope="module")
def ground_floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    house.tenancy.install(create_tables=True)
    yield house
    house.tenancy.close()


@pytest.fixture
def house(ground_floor: House) -> Iterator[House]:
    """The house with a new tenant in it, who is gone afterwards."""
    ground_floor.slug = f"near-{secrets.token_hex(4)}"
    ground_floor.tenancy.tenants.create(ground_floor.slug)
    yield ground_floor
    ground_floor.tenancy.tenants.erase(ground_floor.slug, confirm=ground_floor.slug, force=True)


def test_every_way_of_writing_keeps_the_index_right(house: House) -> None:
    house.write("owls by night", "mice", "owls and mice")
    with house.tenancy.transaction(house.slug) as session:
        book = house.book(name="one")
        session.add(book)
        session.flush()
        session.add_all([house.page(title=f"ducks {number}", book_id=book.id) for number in range(3)])
    assert [len(house.found(words)) for words in ("owls", "mice", "ducks")] == [2, 2, 3]
    with house.tenancy.transaction(house.slug) as session:
        changed = session.execute(text("UPDATE pages SET content = 'geese' WHERE title = 'mice'"))
        assert changed.rowcount == 1
        copied = "SELECT tenant_id, id, 'swans', book_id FROM pages WHERE title = 'owls and mice'"
        session.execute(text(f"INSERT OR REPLACE INTO pages (tenant_id, id, title, book_id) {copied}"))
        copied = "SELECT tenant_id, id, 'herons', book_id FROM pages WHERE title = 'owls by night'"
        clause = "ON CONFLICT (tenant_id, id) DO UPDATE SET title = excluded.title"
        session.execute(text(f"INSERT INTO pages (tenant_id, id, title, book_id) {copied} AND true {clause}"))
        # A cascade, a row under another key, and what is taken back.
        session.execute(text("DELETE FROM books"))
        session.execute(text("UPDATE pages SET id = '0' || substr(id, 2) WHERE title = 'herons'"))
        with session.begin_nested() as inner:
            session.execute(text("UPDATE pages SET title = 'gulls'"))
            inner.rollback()
    wanted = {"owls": 0, "mice": 1, "geese": 1, "swans": 1, "herons": 1, "ducks": 0, "gulls": 0}
    assert {words: len(house.found(words)) for words in wanted} == wanted
    assert house.is_right()
    with house.tenancy.transaction(house.slug) as session:
        assert session.execute(text("DELETE FROM pages")).rowcount == 3
    assert house.found("geese or swans or herons") == []
    assert house.is_right()


def test_rows_that_are_numbered_anew_are_found_as_before(house: House) -> None:
    house.write(*(f"owl {number}" for number in range(50)))
    house.run("DELETE FROM pages WHERE title LIKE 'owl 1%'", "UPDATE pages SET rowid = 1000 - rowid")
    with closing(sqlite3.connect(house.file, isolation_level=None)) as connection:
        connection.execute("VACUUM")
    assert house.found("7") == ["owl 7"]
    assert len(house.found("owl")) == 39
    assert house.is_right()


def test_what_is_typed_means_what_it_means_on_postgresql(house: House) -> None:
    house.write("Owls hunt at night", "the night owl's hunt", "Café noir", "100% wool_socks", "print printers")
    meant = {
        "OWLS": ["Owls hunt at night"],
        '"hunt at"': ["Owls hunt at night"],
        "night -owls": ["the night owl's hunt"],
        "cafe": [],
        "CAFÉ": ["Café noir"],
        "socks 100": ["100% wool_socks"],
        "printer": [],
        "-night -noir -print": ["100% wool_socks"],
        "-night -noir or owls": ["100% wool_socks", "Owls hunt at night", "print printers"],
        "% & -% or noir": ["Café noir"],
        "- % or -": [],
        "near(a b)": [],
        "title:owls": [],
        "pri*": [],
    }
    assert {words: house.found(words) for words in meant} == meant


LETTERS = st.sampled_from(
    ['"', "-", " ", "or", "NOT", "AND", "NEAR", "(", ")", "*", "^", ":", "a", "owl", "é", "_", "+"]
)


def test_no_text_is_a_syntax_error() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE w USING fts5(words)")

        @settings(max_examples=80, deadline=None)
        @given(st.one_of(st.lists(LETTERS, max_size=40).map("".join), st.text(max_size=200)))
        def ask(typed: str) -> None:
            for query in query_of(typed.replace("\0", "")):
                if query:
                    connection.execute("SELECT rowid FROM w WHERE words MATCH ?", (query,)).fetchall()

        ask()
        for typed in ("a " * 1000, "a or " * 500, "-a " * 600, "a -b or " * 250, "-a or " * 300):
            for query in query_of(typed[:2000]):
                connection.execute("SELECT rowid FROM w WHERE words MATCH ?", (query or '""',)).fetchall()


PLANTED: dict[str, tuple[str, ...]] = {
    "no index": (f"DROP TABLE {INDEX}",),
    "no deletion": ("DROP TRIGGER tenantry_find_pages_delete",),
    "no insertion": ("DROP TRIGGER tenantry_find_pages_insert",),
    "stale after an update": (
        "DROP TRIGGER tenantry_find_pages_update",
        "CREATE TRIGGER tenantry_find_pages_update AFTER UPDATE ON pages BEGIN SELECT 1; END",
    ),
    "a row it does not know": ("DELETE FROM tenantry_find_pages_keys WHERE id = 1",),
    "a row that is gone": ("INSERT INTO tenantry_find_pages_keys (key) VALUES ('gone')",),
    "another language": (
        f"DROP TABLE {INDEX}",
        f'CREATE VIRTUAL TABLE "{INDEX}" USING fts5(words, content="tenantry_find_pages_rows", content_rowid=\'id\', '
        "tokenize='porter unicode61 remove_diacritics 0')",
    ),
}


def test_the_doctor_finds_every_other_form_of_it_and_the_fix_cures_it(house: House) -> None:
    house.write("owls", "mice")
    assert house.faults() == []
    for name, statements in PLANTED.items():
        house.run(*statements)
        (fault,) = house.faults()
        assert fault.code == "D509", name
        with closing(sqlite3.connect(house.file)) as connection:
            connection.executescript(fault.fix)
        assert house.found("owls") == ["owls"]
        assert house.is_right(), name


MUTANTS: dict[str, Callable[[list[str]], list[str]]] = {
    "stale after an update": lambda made: [line for line in made if "_update" not in line],
    "no trigger for deletions": lambda made: [line for line in made if "_delete" not in line],
    "another text forgotten": lambda made: [line.replace("coalesce(OLD.\"title\", '')", "'x'") for line in made],
}


@pytest.mark.parametrize("name", MUTANTS)
def test_an_index_that_is_kept_otherwise_is_wrong_and_so_these_tests_would_tell(house: House, name: str) -> None:
    made = index_statements(house.page.__table__)
    changed = MUTANTS[name](made)
    assert changed != made
    house.run(*(f"DROP TRIGGER tenantry_find_pages_{event}" for event in ("insert", "update", "delete")))
    house.run(*(line for line in changed if line.startswith("CREATE TRIGGER")))
    house.write("owls", "mice", "geese")
    house.run("UPDATE pages SET title = 'ducks' WHERE title = 'owls'", "DELETE FROM pages WHERE title = 'mice'")
    assert not house.is_right()


def test_where_it_was_not_put_up_that_is_said_and_install_puts_it_up(house: House) -> None:
    house.write("owls")
    house.run("DROP TRIGGER tenantry_find_pages_update")
    with pytest.raises(SearchNotReady):
        house.found("owls")
    assert house.search is not None
    assert house.search.install() == 1
    assert house.found("owls") == ["owls"]
    before = house.file.read_bytes()
    assert house.search.install() == 1
    assert house.file.read_bytes() == before


def test_a_process_that_knows_no_search_keeps_the_index_too(house: House) -> None:
    plain = House(house.directory, known=False)
    plain.slug = house.slug
    with closing(plain.tenancy):
        plain.write("owls")
        assert house.found("owls") == ["owls"]
        assert [found for found in plain.faults() if found.code != "D509"] == []
        house.tenancy.tenants.create("short")
        plain.tenancy.tenants.erase("short", confirm="short")


def test_what_only_bears_a_searchs_name_is_not_erased_with_the_file(house: House) -> None:
    house.run("CREATE TABLE tenantry_find_ledger_keys (id INTEGER PRIMARY KEY, sum INTEGER)")
    with pytest.raises(SurprisingErase, match="tenantry_find_ledger_keys"):
        house.tenancy.tenants.erase(house.slug, confirm=house.slug)


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM {INDEX}_data",
        f"UPDATE {INDEX.upper()}_config SET v = 3",
        f"INSERT INTO {INDEX} ({INDEX}) VALUES ('delete-all')",
        "DELETE FROM tenantry_find_pages_keys",
        f"DROP TABLE {INDEX}",
        f"CREATE VIRTUAL TABLE other USING fts5vocab({INDEX}, row)",
    ],
)
def test_a_session_writes_an_index_by_its_rows_alone(house: House, statement: str) -> None:
    house.write("owls")
    with house.tenancy.session(house.slug) as session, pytest.raises(Exception, match="not authorized"):
        session.execute(text(statement))
    assert house.is_right()


def test_what_was_erased_leaves_no_word_in_the_file(tmp_path: Path) -> None:
    class Base(DeclarativeBase):
        pass

    class Letter(TenantOwned, Base, subject="sender"):
        __tablename__ = "letters"

        sender: Mapped[str]
        body: Mapped[str]

    tenancy = Tenancy(f"sqlite:///{tmp_path}/rows", models=Base)
    search = Search(tenancy, Letter, columns=["body"])
    tenancy.install(create_tables=True)
    tenancy.tenants.create("near")
    archive = Archive(tenancy, tmp_path / "archives", keys=KeyRing({"one": b"k" * 32}, "one"))
    for number in range(40):
        with tenancy.transaction("near") as session:
            session.add(Letter(sender="ann" if number % 2 else "bob", body=f"word{number} for xylophone{number % 2}"))
    path = tmp_path / "rows" / tenancy.tenants.get("near").physical
    Erasing(archive).person("near", ["ann"])
    left = b"".join(found.read_bytes() for found in path.parent.glob(f"{path.name}*"))
    # A word's beginning stands once for all words that share it.
    assert b"lophone1" not in left.replace(b"ylophone0", b"")
    with tenancy.session("near") as session:
        assert len(search.query(session, "xylophone0")) == 20
        assert search.query(session, "xylophone1 or word1") == []
    tenancy.close()


def test_a_migration_writes_the_index_anew_or_leaves_it_out(tmp_path: Path) -> None:
    scripts = tmp_path / "migrations"
    init(scripts, app="nowhere:tenancy")
    config = Config(migrations=str(scripts))
    house = House(tmp_path / "rows", config=config)
    house.tenancy.install()
    Fleet(house.tenancy).revision("pages")
    assert Fleet(house.tenancy).upgrade().run.state == "done"
    for slug in ("near", "other"):
        house.tenancy.tenants.create(slug)
    house.write("owls", "mice")

    def migrate(*lines: str) -> None:
        path = Fleet(house.tenancy).revision("next")
        assert "op." not in path.read_text().partition("def upgrade")[2]
        body = "".join(f"    {line}\n" for line in lines)
        path.write_text(path.read_text().replace("    pass\n", body, 1))
        assert Fleet(house.tenancy).upgrade().run.state == "done"

    # The table is made anew, and its rows are changed past every trigger.
    migrate(
        "op.alter_column('pages', 'title', type_=sa.String(90))",
        "op.alter_column('pages', 'title', type_=sa.String(100))",
        "op.data(\"UPDATE pages SET title = 'geese' WHERE title = 'mice'\")",
    )
    assert [house.found(words) for words in ("owls", "mice", "geese")] == [["owls"], [], ["geese"]]
    assert list(Fleet(house.tenancy).check()) == []
    assert house.is_right()
    migrate("op.search('pages', on=False)")
    with pytest.raises(SearchNotReady):
        house.found("owls")
    migrate("op.search('pages')")
    assert house.found("owls") == ["owls"]
    assert house.is_right()
    house.tenancy.close()


def test_a_search_that_comes_later_is_put_up_in_files_that_stand(tmp_path: Path) -> None:
    before = House(tmp_path, known=False)
    before.tenancy.install(create_tables=True)
    before.tenancy.tenants.create("near")
    before.write("owls")
    house = House(tmp_path)
    with pytest.raises(SearchNotReady):
        house.found("owls")
    assert [found.code for found in house.faults()] == ["D509"]
    assert house.search is not None
    assert house.search.install() == 1
    # Who had the file open all the while writes on.
    before.write("owls again")
    assert house.found("owls") == ["owls", "owls again"]
    assert house.is_right()
    for tenancy in (before.tenancy, house.tenancy):
        tenancy.close()


def test_without_fts5_rows_are_read_and_the_doctor_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write("owls", "mice")
    for module in ("tenantry.search.core", "tenantry.doctor.sqlite", "tenantry.doctor.sqlite_tables"):
        monkeypatch.setattr(f"{module}.has_engine", lambda: False)
    assert house.found("owl") == ["owls"]
    assert "N501" in {found.code for found in examine(house.tenancy).notices}
