"""A deployment killed before any of its statements: the next one ends it, and no change is deployed twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Program

from tenantry.errors import ChangeUnproven, HomeBusy
from tenantry.fleet.homes import HomeKind
from tenantry.fleet.sqitch import SqitchHistory
from tenantry.isolation.registries import registry_file

from .projects import Project, helpdesk
from .test_steps import Bench

NEVER = 1_000_000


class Doomed:
    """The program that deploys and is killed."""

    def __init__(self) -> None:
        self._program = Program(Path(__file__).with_name("deploying.py"))
        self.close = self._program.close

    def apply(self, bench: Bench, folder: Path, target: str, *, last: int = NEVER, step: str = "") -> tuple[int, int]:
        """Returns the child's exit status and how many statements it came to."""
        urls = getattr(bench.world, "urls", {})
        job = {
            "url": urls.get("app") or f"sqlite:///{bench.world.directory}",
            "owner_url": getattr(bench.world, "owner", None),
            "prefix": getattr(bench.world, "prefix", None),
            "home": bench.home.key,
            "folder": str(folder),
            "target": target,
            "last": last,
            "step": step,
        }
        ended = self._program.ask(job)
        return ended["status"], ended.get("statements", 0)


@pytest.fixture(scope="module")
def doomed() -> Iterator[Doomed]:
    program = Doomed()
    yield program
    program.close()


@pytest.fixture(params=[pytest.param("schema", marks=pytest.mark.soak), "file"])
def bench(request: pytest.FixtureRequest, installation: Any, directory: Any, tmp_path: Path) -> Bench:
    if request.param == "file":
        return Bench(directory, directory.home(), tmp_path, "sqlite")
    return Bench(installation, installation.home(HomeKind.SCHEMA), tmp_path, "pg")


def repeatable(bench: Bench) -> Project:
    """Returns the example; its one script without a transaction may be run again from its beginning."""
    project = helpdesk(bench.folder / "project", bench.engine)
    indexes = {"tickets_subject": "tickets (tenant_id, subject)", "notes_text": "notes (tenant_id, text)"}
    makes = "\n".join(f"CREATE INDEX IF NOT EXISTS {name} ON {on};" for name, on in indexes.items())
    project.write("deploy", "subjects", makes, whole=False)
    drops = "\n".join(f"DROP INDEX IF EXISTS {name};" for name in reversed(indexes))
    project.write("revert", "subjects", drops, whole=False)
    return project


def forget(bench: Bench, history: SqitchHistory) -> None:
    """Removes the registry, so that the next trial finds none."""
    if bench.engine == "sqlite":
        registry_file(bench.world.file(bench.home)).unlink()
        return
    with bench.world.connect(bench.home) as connection:
        connection.execute(f'DROP SCHEMA "{history.registry(bench.home)}" CASCADE')


def check_trials(bench: Bench, doomed: Doomed, *, every: int) -> int:
    """Kills deployments, then reversions, before every n-th statement, and returns how many were killed."""
    folder = repeatable(bench).folder
    history = SqitchHistory(bench.world.tenancy, folder)
    names = [change.name for change in history.plan.changes]
    assert doomed.apply(bench, folder, "head")[0] == 0
    whole = bench.content()
    _, up = doomed.apply(bench, folder, "base")
    forget(bench, history)
    killed = 0
    for last in range(1, up, every):
        status, _ = doomed.apply(bench, folder, "head", last=last)
        killed += status == -signal.SIGKILL
        bench.apply(history)
        assert bench.content() == whole, last
        assert bench.events(history) == [f"deploy {name}" for name in names], last
        assert history.verify(bench.home) == []
        status, _ = doomed.apply(bench, folder, "base", last=last)
        killed += status == -signal.SIGKILL
        bench.apply(history, "base")
        assert bench.content() in ([], [[], [], [], []]), last
        assert bench.events(history)[len(names) :] == [f"revert {name}" for name in reversed(names)], last
        forget(bench, history)
    return killed


def test_killed_before_some_statements(bench, doomed):
    assert check_trials(bench, doomed, every=29) >= 8


@pytest.mark.soak
def test_killed_before_every_statement(bench, doomed):
    assert check_trials(bench, doomed, every=1) >= 150


@pytest.mark.parametrize("kind", ["deploy", "revert"])
@pytest.mark.parametrize("step", ["script", "record"])
def test_without_a_verify_script_nobody_guesses(bench, doomed, kind, step):
    """Killed where the script may be committed and is not recorded: it is said, and a stamp ends it."""
    project = bench.project()
    project.change("one", "CREATE TABLE one (id int);", "DROP TABLE one;", whole=False)
    history = bench.history(project)
    before, target = ("base", "head") if kind == "deploy" else ("head", "base")
    bench.apply(history, before)
    assert doomed.apply(bench, project.folder, target, step=step)[0] == -signal.SIGKILL
    for _ in range(2):
        with pytest.raises(ChangeUnproven, match=r"run of one@HEAD was cut off.*no verify script that could tell"):
            bench.apply(history, target)
    assert _stands(bench) is ((kind == "deploy") is (step == "record"))
    history.stamp(bench.home, history.resolve("one") if _stands(bench) else None)
    bench.apply(history, target)
    assert _stands(bench) is (kind == "deploy")


def test_a_verify_script_that_cannot_run_tells_nothing(bench, doomed):
    """Somebody holds the table that it asks: the change is neither recorded nor run again."""
    project = bench.project()
    project.change("one", "CREATE TABLE one (id int);", "DROP TABLE one;", "DELETE FROM one;", whole=False)
    history = bench.history(project)
    bench.apply(history)
    assert doomed.apply(bench, project.folder, "base", step="script")[0] == -signal.SIGKILL
    with bench.world.connect(bench.home) as other:
        other.execute("BEGIN" if bench.engine == "pg" else "BEGIN IMMEDIATE")
        other.execute("INSERT INTO one VALUES (1)" if bench.engine == "sqlite" else "LOCK TABLE one")
        with pytest.raises(HomeBusy, match=r"verify/one\.sql could not be run"):
            bench.apply(history, "base")
        other.execute("ROLLBACK")
    assert bench.at(history) == history.resolve("one")
    bench.apply(history, "base")
    assert bench.events(history) == ["deploy one", "revert one"]


def _stands(bench: Bench) -> bool:
    with bench.world.connect(bench.home) as connection:
        if bench.engine == "sqlite":
            question = "SELECT 1 FROM sqlite_master WHERE name = 'one'"
        else:
            question = f"SELECT 1 FROM pg_tables WHERE tablename = 'one' AND schemaname = '{bench.home.physical}'"
        return connection.execute(question).fetchone() is not None
