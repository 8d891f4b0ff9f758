"""The program `sqitch` and ours, each over what the other deployed, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tenantry.events import Step, listen
from tenantry.fleet.history import Pace
from tenantry.fleet.homes import HomeKind
from tenantry.fleet.sqitch import SqitchHistory

from .command import Refused, needs_sqitch, postgres_target, sqitch, sqlite_target
from .homes import postgres_registry, postgres_schema, sqlite_registry, sqlite_schema
from .projects import helpdesk

pytestmark = needs_sqitch

PACE = Pace()


class Side:
    """A home to deploy into, by ours or by the program."""

    def __init__(self, world: Any, home: Any, project: Any) -> None:
        self.world, self.home, self.project = world, home, project
        self.history = SqitchHistory(world.tenancy, project.folder)
        self.registry = self.history.registry(home)

    def ours(self, target: str) -> None:
        """Brings the home to a target by ours."""
        self.history.apply(self.home, self.history.resolve(target), pace=PACE)

    def theirs(self, *arguments: str) -> str:
        """Runs the program over the home."""
        return sqitch(self.project.folder, *arguments, target=self.target, registry=self.registry)

    @property
    def current(self) -> str | None:
        """Where ours says the home stands."""
        return self.history.read([self.home])[self.home]


class PostgresSide(Side):
    @property
    def target(self) -> str:
        return postgres_target(self.world.url(self.home), schema=self.world.schema(self.home))

    def content(self) -> Any:
        with self.world.connect(self.home) as connection:
            return postgres_schema(connection, self.world.schema(self.home))

    def records(self) -> Any:
        with self.world.connect(self.home) as connection:
            return postgres_registry(connection, self.registry)

    def registry_schema(self) -> Any:
        with self.world.connect(self.home) as connection:
            return postgres_schema(connection, self.registry)


class SqliteSide(Side):
    @property
    def target(self) -> str:
        return sqlite_target(self.world.file(self.home))

    def content(self) -> Any:
        with self.world.connect(self.home) as connection:
            return sqlite_schema(connection)

    def records(self) -> Any:
        return sqlite_registry(self.world.file(self.home))

    def registry_schema(self) -> Any:
        return []


def _sides(kind: str, installation: Any, directory: Any, folder: Path) -> list[Any]:
    if kind == "file":
        project = helpdesk(folder / "project", "sqlite")
        return [SqliteSide(directory, directory.home(), project) for _ in range(2)]
    project = helpdesk(folder / "project", "pg")
    return [PostgresSide(installation, installation.home(HomeKind(kind)), project) for _ in range(2)]


@pytest.fixture(params=[pytest.param("schema", marks=pytest.mark.soak), "file"])
def sides(request: pytest.FixtureRequest, installation: Any, directory: Any, tmp_path: Path) -> list[Any]:
    """Two empty homes of one kind under one project."""
    return _sides(request.param, installation, directory, tmp_path)


def test_a_database_of_its_own_is_as_the_program_has_it(installation, directory, tmp_path):
    """There the registry is where the program itself would put it."""
    ours, theirs = _sides("database", installation, directory, tmp_path)
    assert ours.registry == "sqitch"
    ours.ours("@v2")
    ours.theirs("deploy")
    theirs.theirs("deploy", "--to", "@v1")
    theirs.ours("head")
    assert (ours.content(), ours.records()) == (theirs.content(), theirs.records())
    assert ours.registry_schema() == theirs.registry_schema()


def test_the_same_plan_gives_the_same_schema_and_registry(sides):
    ours, theirs = sides
    ours.ours("head")
    theirs.theirs("deploy")
    assert ours.content() == theirs.content() != [[], [], [], []]
    assert ours.records() == theirs.records()
    assert ours.registry_schema() == theirs.registry_schema()
    assert [row["change"] for row in ours.records()["changes"]] == [
        "companies",
        "tickets",
        "overview",
        "notes",
        "overview",
        "subjects",
    ]


def test_ours_goes_on_where_the_program_stopped(sides):
    ours, theirs = sides
    theirs.theirs("deploy")
    ours.theirs("deploy", "--to", "@v1")
    assert ours.current == ours.history.resolve("@v1")
    ours.ours("head")
    assert (ours.content(), ours.records()) == (theirs.content(), theirs.records())


def test_the_program_goes_on_where_ours_stopped(sides):
    ours, theirs = sides
    theirs.theirs("deploy")
    ours.ours("notes")
    ours.theirs("deploy")
    assert (ours.content(), ours.records()) == (theirs.content(), theirs.records())
    assert ours.current == ours.history.resolve("head")


def test_the_program_reads_what_ours_deployed(sides):
    side, _ = sides
    side.ours("@v2")
    status = side.theirs("status")
    assert side.history.resolve("@v2") in status
    assert "overview@HEAD" not in status
    assert "subjects" in status
    assert "Verify successful" in side.theirs("verify", "--to", "@v2")
    side.ours("head")
    assert "Nothing to deploy (up-to-date)" in side.theirs("status")
    assert "Verify successful" in side.theirs("verify")
    assert "Check successful" in side.theirs("check")


def test_the_program_reverts_what_ours_deployed(sides):
    ours, theirs = sides
    ours.ours("head")
    theirs.theirs("deploy")
    ours.theirs("revert", "-y", "--to", "@v1")
    theirs.theirs("revert", "-y", "--to", "@v1")
    assert (ours.content(), ours.records()) == (theirs.content(), theirs.records())
    ours.theirs("revert", "-y")
    assert ours.current is None
    assert ours.records()["changes"] == []


def test_ours_reverts_what_the_program_deployed(sides):
    ours, theirs = sides
    ours.theirs("deploy")
    theirs.theirs("deploy")
    ours.ours("@v1")
    theirs.theirs("revert", "-y", "--to", "@v1")
    assert (ours.content(), ours.records()) == (theirs.content(), theirs.records())
    ours.ours("base")
    theirs.theirs("revert", "-y")
    assert (ours.content(), ours.records()) == (theirs.content(), theirs.records())


def test_a_tag_that_came_later_is_recorded_alike(sides):
    ours, theirs = sides
    ours.ours("head")
    theirs.theirs("deploy")
    ours.project.tag("v3")
    ours.project.change("last", "SELECT 1;", "SELECT 1;")
    ours.history = SqitchHistory(ours.world.tenancy, ours.project.folder)
    ours.ours("head")
    theirs.theirs("deploy")
    assert ours.records() == theirs.records()
    assert [tag["tag"] for tag in ours.records()["tags"]] == ["@v1", "@v2-rc1", "@v2", "@v3"]


def test_a_failing_change_is_recorded_alike(sides):
    ours, theirs = sides
    ours.project.change("broken", "CREATE TABLE fine (id int);\nCREATE TABLE companies (id int);", "SELECT 1;")
    ours.history = SqitchHistory(ours.world.tenancy, ours.project.folder)
    with pytest.raises(Exception, match="broken") as failed:
        ours.ours("head")
    assert "deploy/broken.sql, line 6" in str(failed.value)
    with pytest.raises(Refused):
        theirs.theirs("deploy", "--mode", "change")
    assert ours.content() == theirs.content()
    assert ours.records() == theirs.records()
    assert ours.records()["events"][-1]["event"] == "fail"


def test_what_was_stamped_was_deployed_to_the_program(sides):
    ours, theirs = sides
    ours.history.stamp(ours.home, ours.history.resolve("head"))
    theirs.theirs("deploy", "--log-only")
    assert ours.records() == theirs.records()
    ours.history.stamp(ours.home, ours.history.resolve("@v1"))
    theirs.theirs("revert", "-y", "--log-only", "--to", "@v1")
    assert ours.records() == theirs.records()


def test_what_the_program_brought_to_its_end_is_not_touched(sides):
    """The note that a dead run of ours left says nothing any more once the program has recorded the change."""
    side, _ = sides
    side.project.change("apart", "CREATE TABLE IF NOT EXISTS apart (id int);", "DROP TABLE apart;", whole=False)
    side.history = SqitchHistory(side.world.tenancy, side.project.folder)

    def die(step: Step) -> None:
        if step.name == "record" and step.facts["change"] == "apart@HEAD":
            raise KeyboardInterrupt

    stop = listen(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            side.ours("head")
    finally:
        stop()
    side.theirs("deploy")
    side.project.change("last", "SELECT 1;", "SELECT 1;")
    side.history = SqitchHistory(side.world.tenancy, side.project.folder)
    side.ours("head")
    assert [row["change"] for row in side.records()["changes"]][-2:] == ["apart", "last"]


def test_the_program_waits_for_ours(installation, directory, tmp_path):
    """In the middle of a deployment of ours the program keeps out, whichever home of the database it is meant for."""
    ours, theirs = _sides("schema", installation, directory, tmp_path)
    said = []

    def meanwhile(step: Step) -> None:
        if step.name == "commit" and step.facts["change"] == "tickets@v1":
            with pytest.raises(Refused) as refused:
                theirs.theirs("deploy", "--lock-timeout", "1")
            said.append(str(refused.value))

    stop = listen(meanwhile)
    try:
        ours.ours("@v1")
    finally:
        stop()
    assert len(said) == 1
    assert "waiting 1 seconds for another instance of Sqitch" in said[0]
    assert ours.current == ours.history.resolve("@v1")
