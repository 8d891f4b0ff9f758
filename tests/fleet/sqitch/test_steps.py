"""What is deployed into a home, and what is refused before anything is: on PostgreSQL and in SQLite files."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantry import Tenancy
from tenantry.errors import (
    ChangeUnmet,
    ConfigurationError,
    Diverged,
    HomeBusy,
    MigrationFailed,
    MigrationsMissing,
    OutcomeUnknown,
    RevisionUnknown,
    ScriptRefused,
)
from tenantry.fleet.history import Applied, Pace, Position
from tenantry.fleet.homes import HomeKind, common_homes, lock_key
from tenantry.fleet.sqitch import SqitchHistory

from .homes import postgres_registry, postgres_schema, sqlite_registry, sqlite_schema
from .models import Base
from .projects import Project, helpdesk

PACE = Pace(lock_timeout=0.3)


class Bench:
    """One empty home and one project, with ours between them."""

    def __init__(self, world: Any, home: Any, folder: Path, engine: str) -> None:
        self.world, self.home, self.folder, self.engine = world, home, folder, engine

    def project(self, *, conf: str = "", name: str = "project") -> Project:
        """Returns a new project without changes."""
        return Project(self.folder / name, self.engine, conf=conf)

    def helpdesk(self) -> SqitchHistory:
        """Returns the history of the whole example."""
        return self.history(helpdesk(self.folder / "helpdesk", self.engine))

    def history(self, project: Project) -> SqitchHistory:
        """Returns the history of a project as it is written now."""
        return SqitchHistory(self.world.tenancy, project.folder)

    def apply(self, history: SqitchHistory, target: str = "head") -> Applied:
        """Brings the home to a target."""
        return history.apply(self.home, history.resolve(target), pace=PACE)

    def at(self, history: SqitchHistory) -> str | None:
        """Returns where the home stands."""
        return history.read([self.home])[self.home]

    def content(self) -> Any:
        """Returns what stands in the home."""
        with self.world.connect(self.home) as connection:
            if self.engine == "pg":
                return postgres_schema(connection, self.world.schema(self.home))
            return sqlite_schema(connection)

    def records(self, history: SqitchHistory) -> Any:
        """Returns what the registry holds."""
        if self.engine != "pg":
            return sqlite_registry(self.world.file(self.home))
        with self.world.connect(self.home) as connection:
            return postgres_registry(connection, history.registry(self.home))

    def events(self, history: SqitchHistory) -> list[str]:
        """Returns the registry's events in short."""
        return [f"{event['event']} {event['change']}" for event in self.records(history)["events"]]


@pytest.fixture(params=["schema", "file"])
def bench(request: pytest.FixtureRequest, installation: Any, directory: Any, tmp_path: Path) -> Bench:
    """An empty home on PostgreSQL, then one in SQLite."""
    if request.param == "file":
        return Bench(directory, directory.home(), tmp_path, "sqlite")
    return Bench(installation, installation.home(HomeKind.SCHEMA), tmp_path, "pg")


def test_up_and_down_and_up_again(bench):
    history = bench.helpdesk()
    head, first = history.resolve("head"), history.resolve("@v1")
    assert bench.at(history) is None
    up = bench.apply(history, "@v1")
    assert up == Applied(None, first, history.steps(None, first))
    rest = bench.apply(history)
    assert rest == Applied(first, head, history.steps(first, head))
    full = bench.content()
    assert bench.apply(history) == Applied(head, head)
    down = bench.apply(history, "@v1")
    assert down == Applied(head, first, history.steps(head, first))
    bench.apply(history, "base")
    assert bench.at(history) is None
    bench.apply(history)
    assert bench.content() == full
    assert history.verify(bench.home) == []


def test_positions_and_steps(bench):
    history = bench.helpdesk()
    ids = [change.id for change in history.plan.changes]
    assert [history.position(ids[1], target) for target in (ids[1], ids[3], ids[0], None)] == [
        Position.AT,
        Position.BEHIND,
        Position.AHEAD,
        Position.AHEAD,
    ]
    assert history.position(None, None) is Position.AT
    assert history.position("f" * 40, ids[0]) is Position.DIVERGED
    assert history.steps(ids[3], ids[1]) == (ids[3], ids[2])
    assert history.steps(ids[1], ids[3]) == (ids[2], ids[3])
    with pytest.raises(RevisionUnknown):
        history.apply(bench.home, "f" * 40, pace=PACE)


def test_the_scripts_to_run_can_be_read_before(bench):
    history = bench.helpdesk()
    up = history.sql(bench.home, history.resolve("@v1"))
    assert up.startswith("-- deploy companies@HEAD\n")
    assert "CREATE TABLE tickets" in up
    assert "CREATE VIEW" not in up
    bench.apply(history, "@v1")
    assert "-- revert tickets@v1\nBEGIN;\nDROP TABLE tickets;\nCOMMIT;" in history.sql(bench.home, None)
    assert history.sql(bench.home, history.resolve("@v1")) == ""


def test_a_failing_script_leaves_what_was_before(bench):
    project = bench.project()
    project.change("one", "CREATE TABLE one (id int);", "DROP TABLE one;")
    project.change("two", "CREATE TABLE two (id int);\n\nSELECT nonsense;", "DROP TABLE two;")
    history = bench.history(project)
    with pytest.raises(MigrationFailed) as failed:
        bench.apply(history)
    assert "stays at one@HEAD: step deploy two@HEAD failed. deploy/two.sql, line 7: " in str(failed.value)
    assert bench.at(history) == history.resolve("one")
    assert [name for (_, name, *_) in bench.content()] == ["one"] if bench.engine == "sqlite" else True
    assert bench.events(history) == ["deploy one", "fail two"]
    project.write("deploy", "two", "CREATE TABLE two (id int);")
    bench.apply(bench.history(project))
    assert bench.events(history) == ["deploy one", "fail two", "deploy two"]


def test_what_a_script_without_a_transaction_did_stands_and_is_said(bench):
    project = bench.project()
    project.change("two", "CREATE TABLE two (id int);\nSELECT nonsense;", "DROP TABLE two;", whole=False)
    history = bench.history(project)
    with pytest.raises(MigrationFailed, match="What the script committed before that stands"):
        bench.apply(history)
    assert bench.at(history) is None
    with bench.world.connect(bench.home) as connection:
        assert connection.execute("SELECT count(*) FROM two").fetchone() == (0,)
    with pytest.raises(MigrationFailed, match="already exists"):
        bench.apply(history)


def test_a_transaction_left_open_is_refused(bench):
    project = bench.project()
    project.change("open", "BEGIN; CREATE TABLE one (id int);", whole=False)
    history = bench.history(project)
    with pytest.raises(MigrationFailed, match="leaves its transaction open"):
        bench.apply(history)
    assert bench.at(history) is None
    assert bench.content() in ([], [[], [], [], []])


def test_a_script_that_cannot_be_read_is_refused_before_anything_runs(bench):
    project = bench.project()
    project.change("one", "CREATE TABLE one (id int);")
    project.change("two", "\\echo hello" if bench.engine == "pg" else ".print hello", whole=False)
    history = bench.history(project)
    with pytest.raises(ScriptRefused, match=r"deploy/two\.sql, line 3: "):
        bench.apply(history)
    assert bench.at(history) is None
    assert bench.content() in ([], [[], [], [], []])


def test_a_change_waits_for_what_it_requires(bench):
    project = bench.project()
    project.change("one", "SELECT 1;", needs="other:thing")
    history = bench.history(project)
    with pytest.raises(ChangeUnmet, match=r"one@HEAD cannot be run now\. It requires other:thing"):
        bench.apply(history)
    other = Project(bench.folder / "other", bench.engine, uri="https://example.org/other")
    plan = other.folder / "sqitch.plan"
    plan.write_text(plan.read_text().replace("helpdesk", "other"))
    other.change("thing", "SELECT 2;", "SELECT 2;")
    others = bench.history(other)
    bench.apply(others)
    bench.apply(history)
    assert bench.at(history) == history.resolve("one")
    assert bench.at(others) == others.resolve("thing")
    (dependency,) = bench.records(history)["dependencies"]
    assert dependency["dependency_id"] == others.resolve("thing")
    with pytest.raises(ChangeUnmet, match="helpdesk:one is deployed and requires it"):
        bench.apply(others, "base")


def test_a_change_does_not_join_what_it_conflicts_with(bench):
    project = bench.project()
    project.change("one", "SELECT 1;", "SELECT 1;")
    project.change("two", "SELECT 2;", needs="!one")
    history = bench.history(project)
    with pytest.raises(ChangeUnmet, match=r"two@HEAD cannot be run now\. It conflicts with one"):
        bench.apply(history)
    assert bench.at(history) is None


def test_a_plan_that_was_rewritten_has_diverged(bench):
    project = bench.project()
    project.change("one", "SELECT 1;", "SELECT 1;")
    project.change("two", "SELECT 2;", "SELECT 2;")
    before = bench.history(project)
    bench.apply(before)
    plan = project.folder / "sqitch.plan"
    plan.write_text(plan.read_text().replace("one 2024-03-01", "one 2024-02-01"))
    history = bench.history(project)
    assert history.position(bench.at(history), history.resolve("head")) is Position.DIVERGED
    with pytest.raises(Diverged):
        bench.apply(history)
    with pytest.raises(Diverged):
        history.sql(bench.home, history.resolve("head"))
    assert [finding.code for finding in history.verify(bench.home)] == ["Q102", "Q102"]
    assert history.stamp(bench.home, history.resolve("head")).before == before.resolve("two")
    assert history.verify(bench.home) == []
    assert bench.apply(history).steps == ()


def test_verifying_tells_what_is_wrong(bench):
    history = bench.helpdesk()
    bench.apply(history)
    with bench.world.connect(bench.home) as connection:
        connection.execute("DROP TABLE notes")
    scripts = bench.folder / "helpdesk" / "deploy"
    (scripts / "tickets.sql").write_text("-- something else\n")
    again = SqitchHistory(bench.world.tenancy, bench.folder / "helpdesk")
    found = [(finding.code, finding.object.rpartition(" ")[2]) for finding in again.verify(bench.home)]
    assert found == [("Q105", "tickets@v1"), ("Q101", "notes@v2-rc1"), ("Q101", "subjects@HEAD")]


def test_a_change_that_does_not_pass_its_verify_script_is_taken_back(bench):
    project = bench.project(conf="[deploy]\n\tverify = true\n")
    project.change("one", "CREATE TABLE one (id int);", "DROP TABLE one;", "SELECT id FROM one;")
    project.change("two", "CREATE TABLE two (id int);", "DROP TABLE two;", "SELECT nonsense FROM two;")
    history = bench.history(project)
    with pytest.raises(MigrationFailed, match=r"verify/two\.sql, line 5: .*It was taken back by its revert script"):
        bench.apply(history)
    assert bench.at(history) == history.resolve("one")
    assert bench.events(history) == ["deploy one", "fail two"]
    with bench.world.connect(bench.home) as connection, pytest.raises(Exception, match="two"):
        connection.execute("SELECT * FROM two")


def test_several_at_once_deploy_each_change_once(bench):
    """Eight upgraders of one home: nobody fails, and every change is deployed by one of them."""
    folder = helpdesk(bench.folder / "helpdesk", bench.engine).folder
    start = threading.Barrier(8)

    def upgrade(_: int) -> int:
        history = SqitchHistory(bench.world.tenancy, folder)
        start.wait()
        for _ in range(200):
            with contextlib.suppress(HomeBusy):
                return len(history.apply(bench.home, history.resolve("head"), pace=Pace(lock_timeout=2)).steps)
        return -1

    with ThreadPoolExecutor(8) as pool:
        steps = list(pool.map(upgrade, range(8)))
    history = SqitchHistory(bench.world.tenancy, folder)
    assert sum(steps) <= 6
    assert -1 not in steps
    assert bench.events(history) == [
        f"deploy {name}" for name in ("companies", "tickets", "overview", "notes", "overview", "subjects")
    ]
    assert history.verify(bench.home) == []


def test_a_folder_without_a_plan_is_said(bench):
    with pytest.raises(MigrationsMissing):
        SqitchHistory(bench.world.tenancy, bench.folder / "nowhere").resolve("head")


def test_an_empty_plan_has_nothing_to_do(bench):
    history = bench.history(bench.project())
    assert history.resolve("head") is None
    assert bench.apply(history) == Applied(None, None)


class TestOnPostgres:
    @pytest.fixture
    def bench(self, installation: Any, tmp_path: Path) -> Bench:
        return Bench(installation, installation.home(HomeKind.SCHEMA), tmp_path, "pg")

    @pytest.mark.parametrize("whose", ["sqitch", "ours", "a table"])
    def test_what_is_in_use_is_waited_for_and_left_alone(self, bench, whose):
        history = bench.helpdesk()
        bench.apply(history, "@v1")
        before = bench.records(history)
        with bench.world.connect(bench.home) as other:
            if whose == "a table":
                other.execute("BEGIN; LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE")
            else:
                other.execute(f"SELECT pg_advisory_lock({75474063 if whose == 'sqitch' else lock_key(bench.home)})")
            began = time.monotonic()
            with pytest.raises(HomeBusy):
                bench.apply(history)
            assert time.monotonic() - began >= PACE.lock_timeout
        assert bench.records(history) == before
        assert len(bench.apply(history).steps) == 4

    def test_homes_of_one_database_do_not_wait_for_each_other(self, bench):
        """While one home's deployment stands still, another one's comes to its end."""
        history = bench.helpdesk()
        neighbour = bench.world.home(HomeKind.SCHEMA)
        bench.apply(history, "@v1")
        with bench.world.connect(bench.home) as other, ThreadPoolExecutor(1) as pool:
            other.execute("BEGIN; LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE")
            waiting = pool.submit(history.apply, bench.home, history.resolve("head"), pace=Pace(lock_timeout=30))
            assert len(history.apply(neighbour, history.resolve("head"), pace=PACE).steps) == 6
            assert not waiting.done()
            other.execute("COMMIT")
            assert len(waiting.result(timeout=30).steps) == 4

    def test_a_statement_that_refuses_transactions_has_none(self, bench):
        project = bench.project()
        project.change("one", "CREATE TABLE one (id int);", "DROP TABLE one;")
        project.change(
            "two", "CREATE INDEX CONCURRENTLY x ON one (id);\nVACUUM one;", "DROP INDEX CONCURRENTLY x;", whole=False
        )
        history = bench.history(project)
        bench.apply(history)
        bench.apply(history, "base")
        assert bench.events(history) == ["deploy one", "deploy two", "revert two", "revert one"]

    def test_a_script_does_not_see_the_settings_of_the_one_before(self, bench):
        project = bench.project()
        project.change("one", "SET search_path = pg_catalog; SET lock_timeout = 0; CREATE TEMP TABLE x (id int);")
        project.change("two", "CREATE TABLE two AS SELECT current_setting('lock_timeout') AS lock_timeout;")
        project.change("three", "SET SESSION ROLE NONE; CREATE TABLE x (id int);")
        history = bench.history(project)
        bench.apply(history)
        with bench.world.connect(bench.home) as connection:
            assert connection.execute("SELECT lock_timeout FROM two").fetchone() == ("300ms",)
            assert connection.execute("SELECT count(*) FROM x").fetchone() == (0,)

    def test_a_connection_that_breaks_leaves_the_outcome_to_be_looked_up(self, bench):
        project = bench.project()
        project.change("one", "CREATE TABLE one (id int);", "DROP TABLE one;")
        project.change("two", "CREATE TABLE two (id int); SELECT pg_terminate_backend(pg_backend_pid());")
        history = bench.history(project)
        with pytest.raises(OutcomeUnknown, match="the deploy of two@HEAD"):
            bench.apply(history)
        assert bench.at(history) == history.resolve("one")
        project.write("deploy", "two", "CREATE TABLE two (id int);")
        assert len(bench.apply(bench.history(project)).steps) == 1

    def test_the_registry_is_its_owners_alone(self, bench):
        history = bench.helpdesk()
        bench.apply(history)
        for login in ("app", "operator", "platform"):
            with psycopg.connect(bench.world.urls[login]) as connection:
                for table in ("changes", "events"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                        connection.execute(f'SELECT * FROM "{history.registry(bench.home)}".{table}')

    def test_a_registry_of_another_version_is_left_alone(self, bench):
        history = bench.helpdesk()
        bench.apply(history, "@v1")
        with bench.world.connect(bench.home) as connection:
            connection.execute(f'UPDATE "{history.registry(bench.home)}".releases SET version = 1.2')
        with pytest.raises(MigrationFailed, match=r"version 1\.2"):
            bench.apply(history)

    def test_a_registry_that_knows_the_project_by_another_uri_is_left_alone(self, bench):
        history = bench.helpdesk()
        bench.apply(history, "@v1")
        with bench.world.connect(bench.home) as connection:
            connection.execute(f"UPDATE \"{history.registry(bench.home)}\".projects SET uri = 'https://other.org'")
        with pytest.raises(MigrationFailed, match=r"https://other\.org"):
            bench.apply(history)


class TestOnSqlite:
    def test_common_files_are_not_for_scripts(self, directory, tmp_path):
        history = SqitchHistory(directory.tenancy, helpdesk(tmp_path / "project", "sqlite").folder)
        for home in common_homes(directory.tenancy.servers.main):
            assert not history.serves(home)
            with pytest.raises(ConfigurationError, match="common tables in SQLite"):
                history.apply(home, history.resolve("head"), pace=PACE)

    def test_a_locked_registry_is_waited_for_and_left_alone(self, directory, tmp_path):
        bench = Bench(directory, directory.home(), tmp_path, "sqlite")
        history = bench.helpdesk()
        bench.apply(history, "@v1")
        with bench.world.connect(bench.home) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(HomeBusy):
                bench.apply(history)
        assert bench.events(history) == ["deploy companies", "deploy tickets"]
        assert len(bench.apply(history).steps) == 4

    def test_rows_without_what_they_refer_to_are_found(self, directory, tmp_path):
        bench = Bench(directory, directory.home(), tmp_path, "sqlite")
        project = bench.project()
        project.change("one", "CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (one int REFERENCES one (id));")
        project.change("two", "INSERT INTO two VALUES (7);")
        history = bench.history(project)
        with pytest.raises(MigrationFailed, match=r"1 row\(s\) refer to rows that are not there: two"):
            bench.apply(history)
        assert bench.events(history) == ["deploy one", "fail two"]


def test_two_plans_for_two_databases_are_refused(installation, tmp_path):
    folder = helpdesk(tmp_path / "project", "pg", conf='[engine "sqlite"]\n\ttop_dir = sqlite\n').folder
    tenancy = Tenancy(installation.urls["app"], models=Base)
    SqitchHistory(tenancy, folder)
    tenancy.servers.add("files", f"sqlite:///{tmp_path}/files")
    with pytest.raises(ConfigurationError, match="one plan for PostgreSQL and another for SQLite"):
        SqitchHistory(tenancy, folder)
