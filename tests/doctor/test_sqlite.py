"""A directory of SQLite files: nothing is found in a clean one, and each planted fault by its code and nothing else."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenantry import Tenancy
from tenantry.doctor import examine

from .models import Base, Company, Country, Note, Ticket


class Shelf:
    """An installed directory with a tenant in the common file and a tenant in a file of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tenancy = Tenancy(f"sqlite:///{directory}", models=Base)
        self.tenancy.install()
        with self.tenancy.platform() as db:
            db.add(Country(code="it"))
            db.commit()
        self.tenancy.publish()
        self.tenants = {kind: self.tenancy.tenants.create(kind, isolation=kind) for kind in ("rows", "database")}
        for kind, tenant in self.tenants.items():
            with self.tenancy.transaction(tenant) as db:
                company = Company(name=kind)
                db.add(company)
                db.flush()
                db.add_all([Ticket(subject="a", company_id=company.id, country="it"), Note(label="n")])
        self.tenancy.close()

    @property
    def common(self) -> Path:
        return self.directory / "common.sqlite3"

    @property
    def own(self) -> Path:
        return self.directory / self.tenants["database"].physical

    def run(self, path: Path, *statements: str) -> None:
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def found(self) -> list[tuple[str, str]]:
        report = examine(self.tenancy)
        assert report.unseen == ()
        return [(finding.code, finding.object.removeprefix(f"{self.directory}/")) for finding in report.findings]

    def noticed(self) -> list[tuple[str, str]]:
        notices = examine(self.tenancy).notices
        return [(notice.code, Path(notice.object).name) for notice in notices if notice.code != "N702"]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    directory = tmp_path / "data"
    found = Shelf(directory)
    yield found
    found.tenancy.close()


def test_nothing_is_found(shelf):
    assert shelf.found() == []
    assert shelf.noticed() == []


def test_nothing_is_found_while_sessions_are_open(shelf):
    with shelf.tenancy.session("database") as db, shelf.tenancy.session("rows") as common:
        db.add(Note(label="more"))
        db.flush()
        common.add(Note(label="more"))
        common.flush()
        assert shelf.found() == []


def test_examining_leaves_no_file_behind(shelf):
    before = sorted(path.name for path in shelf.directory.rglob("*"))
    shelf.found()
    shelf.tenancy.close()
    assert sorted(path.name for path in shelf.directory.rglob("*")) == before


def test_before_the_installation(tmp_path):
    tenancy = Tenancy(f"sqlite:///{tmp_path}/none", models=Base)
    report = examine(tenancy)
    assert [finding.code for finding in report.findings] == ["D108"]
    assert [unseen.code for unseen in report.unseen] == ["U601"]
    assert not (tmp_path / "none").exists()


def test_a_directory_open_to_others(shelf):
    shelf.directory.chmod(0o750)
    report = examine(shelf.tenancy)
    assert [(finding.code, finding.object) for finding in report.findings] == [("D801", str(shelf.directory))]


def test_a_file_that_leads_out_of_the_directory(shelf, tmp_path):
    shelf.own.rename(tmp_path / "elsewhere.sqlite3")
    shelf.own.symlink_to(tmp_path / "elsewhere.sqlite3")
    assert shelf.found() == [("D802", shelf.tenants["database"].physical)]


@pytest.mark.parametrize("name", ["notes.txt", "backup.sqlite3", "ab/" + "0" * 32 + ".sqlite3", "Old/x"])
def test_a_file_that_is_not_ours(shelf, name):
    path = shelf.directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    assert shelf.found() == [("D803", "Old" if name == "Old/x" else name)]


def test_a_file_that_a_crash_left_half_made_is_a_notice(shelf):
    path = shelf.own.with_name(f".{shelf.own.name}.0123abcd")
    path.write_text("")
    assert shelf.found() == []
    assert shelf.noticed() == [("N801", path.name)]


@pytest.mark.parametrize("name", ["common", "own"])
def test_a_damaged_file(shelf, name):
    path = getattr(shelf, name)
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    assert shelf.found() == [("D804", path.relative_to(shelf.directory).as_posix())]


def test_a_file_that_is_no_database(shelf):
    shelf.own.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    assert shelf.found() == [("D804", shelf.tenants["database"].physical)]


@pytest.mark.parametrize(("name", "table"), [("common", "tickets__rows"), ("own", "tickets")])
def test_rows_that_refer_to_nothing(shelf, name, table):
    path = getattr(shelf, name)
    shelf.run(path, f"UPDATE {table} SET company_id = 'nowhere'")
    assert shelf.found() == [("D805", path.relative_to(shelf.directory).as_posix())]


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE TABLE tickets (id)", "tickets"),
        ("CREATE TABLE other (id)", "other"),
        ("CREATE VIEW peek AS SELECT * FROM tickets__rows", "peek"),
        ("CREATE TRIGGER nosy AFTER INSERT ON notes__rows BEGIN SELECT 1; END", "nosy"),
        ("DROP TABLE notes__rows", "notes__rows"),
        ("ALTER TABLE notes__rows ADD COLUMN secret TEXT", "notes__rows"),
        (
            "DROP TRIGGER tenantry_wall_tickets_company_id_delete",
            "tenantry_wall_tickets_company_id_delete",
        ),
        ("DROP TRIGGER tenantry_append_only_events_update", "tenantry_append_only_events_update"),
    ],
)
def test_a_common_file_that_its_wall_does_not_expect(shelf, statement, name):
    shelf.run(shelf.common, statement)
    assert shelf.found() == [("D806", f"common.sqlite3: {name}")]


@pytest.mark.parametrize(
    "planted",
    [
        ["DROP TRIGGER tenantry_append_only_events_delete"],
        [
            "DROP TRIGGER tenantry_append_only_events_update",
            "CREATE TRIGGER tenantry_append_only_events_update BEFORE UPDATE ON events BEGIN SELECT 1; END",
        ],
    ],
)
def test_an_append_only_table_that_can_be_changed(shelf, planted):
    shelf.run(shelf.own, *planted)
    assert shelf.found() == [("D313", f"{shelf.tenants['database'].physical}: events")]
    (finding,) = examine(shelf.tenancy).findings
    with closing(sqlite3.connect(shelf.own)) as connection:
        connection.executescript(finding.fix)
    assert shelf.found() == []


@pytest.mark.parametrize(("name", "table"), [("common", "notes__rows"), ("own", "notes")])
def test_a_unique_index_across_tenants(shelf, name, table):
    path = getattr(shelf, name)
    shelf.run(path, f"CREATE UNIQUE INDEX once ON {table} (label)")
    assert shelf.found() == [("D403", f"{path.relative_to(shelf.directory).as_posix()}: {table}.once")]


def test_a_primary_key_without_the_tenant(shelf):
    shelf.run(
        shelf.own,
        "DROP TABLE notes",
        "CREATE TABLE notes (tenant_id CHAR(32) NOT NULL, id CHAR(32) NOT NULL PRIMARY KEY, label TEXT NOT NULL)",
    )
    assert shelf.found() == [("D402", f"{shelf.tenants['database'].physical}: notes")]


def test_a_foreign_key_without_the_tenant(shelf):
    shelf.run(
        shelf.own,
        "DROP TABLE notes",
        "CREATE TABLE notes (tenant_id CHAR(32) NOT NULL, id CHAR(32) NOT NULL, label TEXT, ticket CHAR(32), "
        "PRIMARY KEY (tenant_id, id), FOREIGN KEY (id, ticket) REFERENCES tickets (tenant_id, id))",
    )
    assert shelf.found() == [("D401", f"{shelf.tenants['database'].physical}: notes")]


def test_rows_of_another_tenant_in_a_tenants_file(shelf):
    shelf.run(shelf.own, f"INSERT INTO notes VALUES ('{uuid.uuid4().hex}', '{uuid.uuid4().hex}', 'stray')")
    assert shelf.found() == [("D807", f"{shelf.tenants['database'].physical}: notes")]


def test_rows_in_the_common_file_of_a_tenant_that_does_not_live_there(shelf):
    stranger = shelf.tenants["database"].id.hex
    shelf.run(shelf.common, f"INSERT INTO notes__rows VALUES ('{stranger}', '{uuid.uuid4().hex}', 'stray')")
    assert shelf.found() == [("D601", "common.sqlite3: notes__rows")]


def test_a_table_missing_from_a_tenants_file(shelf):
    shelf.run(shelf.own, "DROP TABLE notes")
    assert shelf.found() == [("D311", shelf.tenants["database"].physical)]


def test_a_table_that_the_models_do_not_know(shelf):
    shelf.run(shelf.own, "CREATE TABLE extra (id)")
    assert shelf.found() == [("D310", shelf.tenants["database"].physical)]


def test_a_tenant_without_its_file(shelf):
    shelf.own.unlink()
    assert shelf.found() == [("D602", shelf.tenants["database"].physical)]


def test_a_file_without_its_tenant(shelf):
    stranger = uuid.uuid4().hex
    path = shelf.directory / stranger[-2:] / f"{stranger}.sqlite3"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(shelf.own.read_bytes())
    assert shelf.found() == [("D601", path.relative_to(shelf.directory).as_posix())]


def test_two_servers_are_examined_together(shelf, tmp_path):
    shelf.tenancy.servers.add("second", f"sqlite:///{tmp_path}/second")
    shelf.tenancy.install()
    assert shelf.found() == []
    tenant = shelf.tenancy.tenants.create("far", server="second")
    (tmp_path / "second" / tenant.physical).unlink()
    assert shelf.found() == [("D602", str(tmp_path / "second" / tenant.physical))]


def test_a_tenant_on_a_server_that_is_not_known_here_is_a_notice(shelf, tmp_path):
    other = Tenancy(f"sqlite:///{shelf.directory}", models=Base)
    other.servers.add("second", f"sqlite:///{tmp_path}/second")
    other.install()
    other.tenants.create("far", server="second")
    other.close()
    assert shelf.found() == []
    assert shelf.noticed() == [("N601", "far")]
