"""A script knows nothing of walls: its tables get theirs in its own transaction, and its data steps see every row."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry import events
from tenantry.doctor import examine
from tenantry.errors import MigrationFailed, WallMissing
from tenantry.fleet.homes import HomeKind

from .homes import Installation
from .models import Company, Note, Ticket
from .projects import COMPANIES, NOTES, TICKETS
from .test_steps import Bench

UNWALLED = """
select c.relname from pg_class c where c.relnamespace = %s::regnamespace and c.relkind = 'r'
and not (c.relrowsecurity and c.relforcerowsecurity and exists(select 1 from pg_policy p where p.polrelid = c.oid))
"""


class WalledBench(Bench):
    """A home in PostgreSQL whose walls are looked at."""

    def unwalled(self) -> list[str]:
        """Returns the tables of the home without their wall, as another connection sees them."""
        with self.world.connect(self.home) as connection:
            return [name for (name,) in connection.execute(UNWALLED, (self.world.schema(self.home),))]

    def run(self, statement: str, *values: object) -> Any:
        """Runs a statement as the administrator, who is behind no wall."""
        with self.world.admin(self.home) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else None

    def tables(self, *, notes: str = NOTES) -> Any:
        """Returns a project with the tables of the models."""
        project = self.project()
        project.change("companies", COMPANIES, "DROP TABLE companies;")
        project.change("tickets", TICKETS, "DROP TABLE tickets;")
        project.change("notes", notes, "DROP TABLE notes;")
        return project


@pytest.fixture
def common(postgres: Any, tmp_path: Path) -> Iterator[WalledBench]:
    """The common tables of an installation that nobody else uses."""
    made = Installation(postgres)
    yield WalledBench(made, made.home(HomeKind.COMMON), tmp_path, "pg")
    made.close()


@pytest.fixture(params=["schema", "database"])
def own(request: pytest.FixtureRequest, installation: Any, tmp_path: Path) -> WalledBench:
    """A tenant's own home."""
    return WalledBench(installation, installation.home(HomeKind(request.param)), tmp_path, "pg")


def fill(bench: WalledBench) -> dict[str, Any]:
    """Makes two tenants in the common tables, with a ticket each."""
    tenancy, tenants = bench.world.tenancy, {}
    for slug in ("acme", "blue"):
        tenants[slug] = tenancy.tenants.create(slug, isolation="rows", record={"name": slug})
        with tenancy.transaction(slug) as db:
            company = db.query(Company).one()
            db.add(Ticket(company_id=company.id, subject=f"a ticket of {slug}"))
    return tenants


def test_common_tables_are_walled_when_they_appear(common):
    """No other connection ever sees a table of the models without its wall."""
    seen = []

    def look(step: events.Step) -> None:
        if step.name in ("commit", "recorded"):
            seen.append((step.name, common.unwalled()))

    stop = events.listen(look)
    try:
        common.apply(common.history(common.tables()))
    finally:
        stop()
    assert seen == [("commit", []), ("recorded", [])] * 3
    fill(common)
    for slug in ("acme", "blue"):
        with common.world.tenancy.session(slug) as db:
            assert [ticket.subject for ticket in db.query(Ticket)] == [f"a ticket of {slug}"]
    with psycopg.connect(common.world.urls["app"]) as connection, pytest.raises(psycopg.Error, match="tenantry"):
        connection.execute("SELECT * FROM public.tickets")
    report = examine(common.world.tenancy)
    assert [finding for finding in report.findings if finding.code.startswith(("D2", "D3", "D4"))] == [
        finding for finding in report.findings if finding.code == "D308"
    ]


def test_own_tables_are_walled_when_they_appear(own):
    own.apply(own.history(own.tables()))
    assert own.unwalled() == []


def test_tables_outside_a_transaction_are_walled_too(own):
    project = own.project()
    project.change("all", f"{COMPANIES}\n{TICKETS}\n{NOTES}", whole=False)
    own.apply(own.history(project))
    assert own.unwalled() == []


def test_a_wall_that_a_script_takes_down_is_up_again(common):
    project = common.tables()
    project.change(
        "down", "ALTER TABLE tickets DISABLE ROW LEVEL SECURITY; DROP POLICY tenantry_isolation ON notes;", "SELECT 1;"
    )
    history = common.history(project)
    common.apply(history)
    assert common.unwalled() == []
    project.write("revert", "down", "ALTER TABLE tickets NO FORCE ROW LEVEL SECURITY;")
    common.apply(common.history(project), "notes")
    assert common.unwalled() == []


def test_a_table_that_cannot_be_walled_does_not_stand(common):
    project = common.project()
    project.change("companies", COMPANIES, "DROP TABLE companies;")
    project.change("tickets", "CREATE TABLE tickets (id uuid PRIMARY KEY, subject text);", "DROP TABLE tickets;")
    history = common.history(project)
    with pytest.raises(WallMissing, match=r'D303 public\.tickets: .*"tenant_id" does not exist'):
        common.apply(history)
    assert common.at(history) == history.resolve("companies")
    assert common.run("SELECT to_regclass('tickets')") == [(None,)]
    assert common.events(history)[-1] == "fail tickets"


def test_a_table_that_was_committed_and_cannot_be_walled_is_shut(common):
    """The script opened it and committed; nobody but the owner comes near it until it can be walled."""
    app = f"{common.world.prefix}_app"
    project = common.project()
    project.change(
        "tickets",
        f"CREATE TABLE tickets (id uuid PRIMARY KEY, subject text);\nGRANT ALL ON tickets TO {app}, PUBLIC;",
        "DROP TABLE tickets;",
        "SELECT subject FROM tickets WHERE FALSE;",
        whole=False,
    )
    history = common.history(project)
    with pytest.raises(WallMissing):
        common.apply(history)
    assert common.at(history) is None
    with psycopg.connect(common.world.urls["app"]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM public.tickets")
    with pytest.raises(WallMissing):
        common.apply(history)
    common.run("ALTER TABLE tickets ADD COLUMN tenant_id uuid NOT NULL")
    common.apply(history)
    assert common.at(history) == history.resolve("tickets")
    assert common.unwalled() == []


def test_an_unknown_table_may_stand_but_not_open(common):
    app = f"{common.world.prefix}_app"
    project = common.project()
    project.change("closed", "CREATE TABLE closed (id int);", "DROP TABLE closed;")
    project.change("open", f"CREATE TABLE wide (id int); GRANT SELECT ON wide TO {app};", "DROP TABLE wide;")
    history = common.history(project)
    with pytest.raises(WallMissing, match=r"D307 public\.wide"):
        common.apply(history)
    assert common.at(history) == history.resolve("closed")
    assert common.run("SELECT to_regclass('wide')") == [(None,)]


def test_what_stood_open_before_is_not_the_next_changes_doing(common):
    common.run(f"CREATE TABLE wide (id int); GRANT SELECT ON wide TO {common.world.prefix}_app")
    common.apply(common.history(common.tables()))
    assert common.unwalled() == ["wide"]


def test_data_steps_reach_every_tenant_and_are_counted(common):
    project = common.tables()
    common.apply(common.history(project))
    fill(common)
    project.change(
        "shout",
        "UPDATE tickets SET subject = upper(subject);\n\n"
        "INSERT INTO notes (tenant_id, id, ticket_id, text)\n"
        "SELECT tenant_id, gen_random_uuid(), id, subject FROM tickets;",
        "DELETE FROM notes;",
        "SELECT 1 / count(*) FROM tickets WHERE subject = upper(subject);",
    )
    project.change("quiet", "UPDATE tickets SET subject = lower(subject);", "SELECT 1;", whole=False)
    history = common.history(project)
    applied = common.apply(history)
    assert dict(applied.touched) == {"shout@HEAD": 4, "quiet@HEAD": 2}
    assert history.verify(common.home)[0].code == "Q101"  # quiet undid what shout's script looks for
    for slug in ("acme", "blue"):
        with common.world.tenancy.session(slug) as db:
            assert [note.text for note in db.query(Note)] == [f"A TICKET OF {slug.upper()}"]
    assert dict(common.apply(history, "shout").touched) == {}


def test_a_new_table_is_filled_from_one_behind_its_wall(common):
    project = common.project()
    project.change("companies", COMPANIES, "DROP TABLE companies;")
    project.change("tickets", TICKETS, "DROP TABLE tickets;")
    common.apply(common.history(project))
    fill(common)
    copy = "INSERT INTO notes SELECT tenant_id, gen_random_uuid(), id, subject FROM tickets;"
    project.change("notes", f"{NOTES}\n{copy}", "DROP TABLE notes;")
    project.change("archive", "CREATE TABLE archive AS SELECT * FROM tickets;", "DROP TABLE archive;")
    assert dict(common.apply(common.history(project)).touched) == {"notes@HEAD": 2}
    assert common.run("SELECT count(*) FROM archive") == [(2,)]
    assert common.unwalled() == ["archive"]


def test_a_script_that_chooses_its_role_keeps_it(common):
    project = common.tables()
    common.apply(common.history(project))
    fill(common)
    project.change(
        "shout",
        f"SET LOCAL ROLE {common.world.prefix}_operator;\nUPDATE tickets SET subject = current_user;\nRESET ROLE;",
    )
    common.apply(common.history(project))
    assert set(common.run("SELECT subject FROM tickets")) == {(f"{common.world.prefix}_operator",)}


def test_a_look_that_cannot_be_helped_is_an_error_and_no_silence(common):
    project = common.tables()
    common.apply(common.history(project))
    fill(common)
    project.change("count", "DO $$ BEGIN UPDATE tickets SET subject = 'x'; END $$;")
    with pytest.raises(MigrationFailed, match="invalid input syntax for type uuid"):
        common.apply(common.history(project))


def test_an_orphan_makes_a_foreign_key_fail(common):
    """A forced owner would not see it, and the key would count as validated."""
    bare = NOTES.replace(",\n    FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets (tenant_id, id)", "")
    project = common.tables(notes=bare)
    common.apply(common.history(project))
    acme = fill(common)["acme"]
    common.run("INSERT INTO notes VALUES (%s, gen_random_uuid(), %s, 'lost')", acme.id, uuid.uuid4())
    key = "FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets (tenant_id, id)"
    project.change("key", f"ALTER TABLE notes ADD CONSTRAINT found {key};", "ALTER TABLE notes DROP CONSTRAINT found;")
    history = common.history(project)
    with pytest.raises(MigrationFailed, match="found"):
        common.apply(history)
    assert common.unwalled() == []
    common.run("DELETE FROM notes")
    common.apply(history)
    assert common.run("SELECT convalidated FROM pg_constraint WHERE conname = 'found'") == [(True,)]
    assert common.unwalled() == []


def test_a_tenants_own_data_steps_stay_its_own(own):
    """In its own home a script sees the tenant's rows, and cannot write a row of another's."""
    project = own.tables()
    own.apply(own.history(project))
    row = "INSERT INTO companies VALUES ({id}, {id}, 'own');"
    project.change("own", row.format(id=f"'{own.home.tenant}'"))
    applied = own.apply(own.history(project))
    assert dict(applied.touched) == {"own@HEAD": 1}
    project.change("foreign", row.format(id=f"'{uuid.uuid4()}'"))
    with pytest.raises(MigrationFailed, match="row-level security"):
        own.apply(own.history(project))
