"""Where a home stands among the revisions, told apart; a home that is behind is not one that somebody changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenantry import Config, Tenancy
from tenantry.errors import SeveralHeads
from tenantry.fleet.checking import check
from tenantry.fleet.history import Pace, Position
from tenantry.fleet.homes import homes_of
from tenantry.fleet.owning import file_of
from tenantry.fleet.scripts import AlembicHistory
from tenantry.fleet.sqitch import SqitchHistory

from .growing import write_history
from .installed import home_named, on_sqlite
from .models import Base

# A branch that leaves the way at r4, and ends beside it.
BRANCH = 'revision = "side"\ndown_revision = "r4"\n\n\ndef upgrade(): ...\n\n\ndef downgrade(): ...\n'

STATES = {
    "at": ("r6", "r6", Position.AT),
    "at the beginning": (None, None, Position.AT),
    "behind": ("r4", "r6", Position.BEHIND),
    "behind from the beginning": (None, "r1", Position.BEHIND),
    "ahead": ("r6", "r4", Position.AHEAD),
    "ahead of the beginning": ("r1", None, Position.AHEAD),
    "on another branch": ("side", "r6", Position.DIVERGED),
    "between two branches": ("r6,side", "r6", Position.AHEAD),
    "at a revision of a newer release": ("r7", "r6", Position.DIVERGED),
}


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return write_history(tmp_path / "migrations")


@pytest.fixture
def tenancy(tmp_path: Path, directory: str) -> Iterator[Tenancy]:
    """Homes at the head, as they are made."""
    with on_sqlite(tmp_path / "data", tenants=["one", "two", "three"], migrations=directory) as tenancy:
        yield tenancy


def branch(directory: str) -> None:
    Path(directory, "versions", "side.py").write_text(BRANCH)


def stamp(tenancy: Tenancy, name: str, revision: str | None) -> None:
    """Writes a revision into a home by hand, whatever stands there."""
    with closing(sqlite3.connect(file_of(home_named(tenancy, name), tenancy.servers.main))) as connection:
        connection.execute("DELETE FROM alembic_version")
        if revision is not None:
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.commit()


def codes(tenancy: Tenancy) -> list[tuple[str, str]]:
    with closing(AlembicHistory(tenancy)) as history:
        return [(finding.code, finding.object) for finding in check(tenancy, history)]


@pytest.mark.parametrize("state", STATES)
def test_each_position_is_told_apart(tenancy: Tenancy, directory: str, state: str) -> None:
    branch(directory)
    current, target, position = STATES[state]
    assert AlembicHistory(tenancy).position(current, target) is position


def test_several_heads_are_refused_and_found(tenancy: Tenancy, directory: str) -> None:
    assert codes(tenancy) == []
    branch(directory)
    history = AlembicHistory(tenancy)
    with pytest.raises(SeveralHeads) as refused:
        history.resolve("head")
    (finding,) = check(tenancy, history)
    assert (finding.code, finding.message) == ("F104", str(refused.value))
    history.close()


def test_homes_off_the_way_are_found_each_by_its_code(tenancy: Tenancy) -> None:
    stamp(tenancy, "one", "r7")
    stamp(tenancy, "two", None)
    assert codes(tenancy) == [("F102", "one"), ("F103", "two")]


def test_a_home_that_is_behind_is_compared_with_others_there(tenancy: Tenancy, directory: str, tmp_path: Path) -> None:
    pace = Pace()
    with closing(AlembicHistory(tenancy)) as history:
        homes = list(homes_of(tenancy))
        for home in homes:
            history.apply(home, "r4", pace=pace)
    behind = [("F101", name) for name in ("main/common", "main/platform", "one", "three", "two")]
    assert codes(tenancy) == behind
    with closing(sqlite3.connect(file_of(home_named(tenancy, "three"), tenancy.servers.main))) as connection:
        connection.execute("ALTER TABLE tickets ADD COLUMN by_hand TEXT")
    assert codes(tenancy) == [*behind, ("F202", "three")]
    with closing(AlembicHistory(tenancy)) as history:
        for home in homes:
            history.apply(home, "r6", pace=pace)
    assert codes(tenancy) == [("F201", "three")]


def test_models_that_outgrew_the_history_are_said_once(tmp_path: Path, directory: str) -> None:
    """Every home is at the head, made by an application that has not written its last revision yet."""
    with on_sqlite(tmp_path / "data", tenants=["one", "two", "three"], migrations=directory) as old:
        for home in homes_of(old):
            if home.tenant:
                with closing(sqlite3.connect(file_of(home, old.servers.main))) as connection:
                    connection.execute("DROP INDEX ix_tickets_open")
        tenancy = Tenancy(f"sqlite:///{tmp_path / 'data'}", models=Base, config=Config(migrations=directory))
        assert codes(tenancy) == [("F203", "main/file")]
        tenancy.close()


def test_homes_that_a_history_is_not_for_are_held_against_the_models(tmp_path: Path) -> None:
    """A Sqitch project of PostgreSQL says nothing of files."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "sqitch.conf").write_text("[core]\n\tengine = pg\n")
    (project / "sqitch.plan").write_text("%syntax-version=1.0.0\n%project=shop\n\n")
    with on_sqlite(tmp_path / "data", tenants=["one"]) as tenancy:
        history = SqitchHistory(tenancy, project)
        assert check(tenancy, history) == ()
        with closing(sqlite3.connect(file_of(home_named(tenancy, "one"), tenancy.servers.main))) as connection:
            connection.execute("DROP INDEX ix_tickets_open")
        assert [(finding.code, finding.object) for finding in check(tenancy, history)] == [("F201", "one")]
