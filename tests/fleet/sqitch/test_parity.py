"""The program `sqitch` and ours, each over what the other deployed, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(params=["schema", "database", "file"])
def sides(request: pytest.FixtureRequest, installation: Any, directory: Any, tmp_path: Path) -> Any:
    """Two empty homes of one kind under one project."""
    if request.param == "file":
        project = helpdesk(tmp_path / "project", "sqlite")
        return [SqliteSide(directory, directory.home(), project) for _ in range(2)]
    project = helpdesk(tmp_path / "project", "pg")
    return [PostgresSide(installation, installation.home(HomeKind(request.param)), project) for _ in range(2)]


def test_the_same_plan_gives_the_same_schema_and_registry(sides):
    ours, theirs = sides
    ours.ours("head")
    theirs.theirs("deploy")
    assert ours.content() == theirs.content() != [[], [], [], []]
    assert ours.records() == theirs.records()
    assert [row["change"] for row in ours.records()["changes"]] == [
        "companies",
        "tickets",
        "overview",
        "notes",
        "overview",
        "subjects",
    ]


def test_the_registry_is_made_alike(sides):
    ours, theirs = sides
    ours.ours("@ROOT")
    theirs.theirs("deploy", "--to", "@ROOT")
    assert ours.registry_schema() == theirs.registry_schema()


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
    for side in (ours, theirs):
        if side is ours:
            ours.project.tag("v3")
            ours.project.change("last", "SELECT 1;", "SELECT 1;")
        side.history = SqitchHistory(side.world.tenancy, side.project.folder)
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
