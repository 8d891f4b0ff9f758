"""A Sqitch project under the fleet's own runner: rings, failures, resumption, and tenants that come and go."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry.doctor import examine
from tenantry.errors import ChangeUnmet
from tenantry.fleet import Fleet, Pace, Position
from tenantry.fleet.homes import HomeKind, homes_of
from tenantry.fleet.sqitch import SqitchHistory
from tenantry.isolation.registries import registry_files

from .homes import Directory, Installation
from .projects import NOTES, helpdesk


@pytest.fixture
def fresh(postgres: Any) -> Iterator[Installation]:
    """An installation whose fleet is this test's own."""
    made = Installation(postgres)
    yield made
    made.close()


def test_a_fleet_on_postgres(fresh, tmp_path):
    """Canary first, one tenant fails and is mended, all come to the head, and back."""
    project = helpdesk(tmp_path / "project", "pg")
    history = SqitchHistory(fresh.tenancy, project.folder)
    fleet = Fleet(fresh.tenancy, history)
    fleet.upgrade("@v1", where=lambda home: home.kind is HomeKind.COMMON)
    own = [fresh.home(kind) for kind in (HomeKind.SCHEMA, HomeKind.SCHEMA, HomeKind.DATABASE)]
    with fresh.connect(own[1]) as connection:
        connection.execute("CREATE VIEW notes AS SELECT 1 AS id")
    outcome = fleet.upgrade(canary=own[0].slug, max_failures=None, jobs=2)
    common = [home for home in _homes(fresh) if home.kind is HomeKind.COMMON]
    assert {work.home for work in outcome.done} == {own[0], own[2], *common}
    (failed,) = outcome.failed
    assert failed.home == own[1]
    assert 'deploy/notes.sql, line 5: relation "notes" already exists (SQLSTATE 42P07)' in failed.error
    assert history.read([own[1]])[own[1]] == history.resolve("overview@v2-rc1")
    with fresh.connect(own[1]) as connection:
        connection.execute("DROP VIEW notes")
    assert fleet.resume().ok
    assert [standing.position for standing in fleet.status().homes] == [Position.AT] * 4
    assert [finding for home in _homes(fresh) for finding in history.verify(home)] == []
    assert fleet.downgrade("@v1", jobs=2).ok
    assert set(fleet.current().values()) == {history.resolve("@v1")}


def test_a_fleet_on_sqlite(directory, tmp_path):
    """Only tenants' own files are in it: what scripts call tables, common files call otherwise."""
    project = helpdesk(tmp_path / "project", "sqlite")
    history = SqitchHistory(directory.tenancy, project.folder)
    files = [directory.home() for _ in range(3)]
    fleet = Fleet(directory.tenancy, history)
    assert {standing.home for standing in fleet.status().homes} == {*files}
    assert fleet.upgrade(jobs=2).ok
    assert fleet.current() == dict.fromkeys(files, history.resolve("head"))
    assert fleet.downgrade("base", jobs=2).ok
    assert fleet.current() == dict.fromkeys(files)


@pytest.fixture(params=["schema", "database", "file"])
def world(request: pytest.FixtureRequest, installation: Any, directory: Directory) -> tuple[Any, str, str]:
    if request.param == "file":
        return directory, "database", "sqlite"
    return installation, request.param, "pg"


def _homes(world: Any) -> list[Any]:
    return list(homes_of(world.tenancy))


def _new_home(world: Any, isolation: str) -> Any:
    tenant = world.tenancy.tenants.create(f"n-{secrets.token_hex(4)}", isolation=isolation)
    return next(home for home in _homes(world) if home.tenant == tenant.id)


def test_a_home_made_from_the_models_is_recorded_as_it_stands(world, tmp_path):
    """A tenant that was created while the plan went on: its tables are the plan's, so nothing is run."""
    installed, isolation, engine = world
    project = helpdesk(tmp_path / "project", engine)
    _cut(project.folder, after="@v1")
    (project.folder / "verify" / "tickets.sql").write_text("SELECT subject FROM tickets WHERE FALSE;")
    project.change("notes", "CREATE TABLE notes (id int);", "DROP TABLE notes;", "SELECT text FROM notes WHERE FALSE;")
    history = SqitchHistory(installed.tenancy, project.folder)
    home = _new_home(installed, isolation)
    applied = history.apply(home, history.resolve("head"), pace=Pace())
    assert (applied.before, applied.after, applied.steps) == (None, history.resolve("head"), ())
    assert history.read([home])[home] == history.resolve("head")
    assert history.verify(home) == []
    project.change("more", "CREATE VIEW more AS SELECT id FROM notes;", "DROP VIEW more;")
    history = SqitchHistory(installed.tenancy, project.folder)
    assert len(history.apply(home, history.resolve("head"), pace=Pace()).steps) == 1


def test_a_home_made_from_the_models_that_differs_from_the_plan_is_left_alone(world, tmp_path):
    installed, isolation, engine = world
    history = SqitchHistory(installed.tenancy, helpdesk(tmp_path / "project", engine).folder)
    home = _new_home(installed, isolation)
    with pytest.raises(ChangeUnmet, match=r"differs from the plan: verify/overview\.sql"):
        history.apply(home, history.resolve("head"), pace=Pace())
    assert history.read([home])[home] is None


def test_the_registry_goes_with_its_home(world, tmp_path):
    """Erasing a tenant needs no force for what a plan recorded, and leaves none of it."""
    installed, isolation, engine = world
    project = helpdesk(tmp_path / "project", engine)
    _cut(project.folder, after="@v1")
    project.change("notes", NOTES, "DROP TABLE notes;")
    history = SqitchHistory(installed.tenancy, project.folder)
    home = installed.home(HomeKind(isolation)) if engine == "pg" else installed.home()
    history.apply(home, history.resolve("head"), pace=Pace())
    if engine == "sqlite":
        assert [finding for finding in examine(installed.tenancy).findings if finding.code == "D803"] == []
    installed.tenancy.tenants.erase(home.tenant, confirm=home.slug)
    if engine == "sqlite":
        assert [path for path in registry_files(installed.file(home)) if path.exists()] == []
    else:
        with installed.admin(_homes(installed)[0]) as connection:
            question = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%%' || %s"
            assert connection.execute(question, (home.physical,)).fetchone() == (0,)


def _cut(folder: Path, *, after: str) -> None:
    lines = (folder / "sqitch.plan").read_text().splitlines()
    last = next(number for number, line in enumerate(lines) if line.startswith(f"{after} "))
    (folder / "sqitch.plan").write_text("\n".join(lines[: last + 1]) + "\n")
    for kind in ("deploy", "revert", "verify"):
        (folder / kind / "notes.sql").unlink()
