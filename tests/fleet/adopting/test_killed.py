"""An adoption killed at any step goes on to its end when it is advanced again, or back to its beginning."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from children import Program

from tenantry import Tenancy
from tenantry.fleet.adopting import Adoption, Stage

from . import branches, handwritten, shop
from .advancing import CASES
from .places import AnyShop, Office, PostgresShop, SqliteShop, check_adopted, engine_of


class Killer:
    """The program that adopts and is killed."""

    def __init__(self) -> None:
        self._program = Program(Path(__file__).with_name("advancing.py"))
        self.close = self._program.close

    def advance(self, **job: Any) -> tuple[int, list[str], int]:
        """Returns the child's exit status, the steps it came to, and how many calls it made if it came to its end."""
        ended = self._program.ask(job)
        return ended["status"], ended.get("steps", []), ended.get("calls", 0)


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    killer = Killer()
    yield killer
    killer.close()


class Trial:
    """One old database of one case in one kind of place."""

    def __init__(self, case: str, place: AnyShop, old: AnyShop | None = None) -> None:
        self.case = case
        self.place = place
        # What is adopted, where it is not the database of the catalog.
        self.old = old or place
        self.options = {"source": place.source, "isolation": place.isolation, "batch": 60}

    def job(self, **kill: int) -> dict[str, Any]:
        prefix = {} if isinstance(self.place, SqliteShop) else {"role_prefix": self.place.office.prefix}
        return {"case": self.case, "urls": self.place.urls(), "config": prefix, "options": self.options, **kill}

    @contextlib.contextmanager
    def adoption(self) -> Iterator[tuple[Tenancy, Adoption]]:
        with contextlib.closing(self.place.tenancy()) as tenancy:
            yield tenancy, Adoption(tenancy, CASES[self.case][1], **self.options)

    def check(self, tenancy: Tenancy) -> None:
        """Says that every tenant sees its rows."""
        for key, tables in self.counted().items():
            with tenancy.session(key) as session:
                assert {name: session.scalar(sa.text(f"select count(*) from {name}")) for name in tables} == tables

    def counted(self) -> dict[Any, dict[str, int]]:
        if self.case == "branch":
            return {"ulm": branches.counted("ulm")}
        if self.case == "numbers":
            return {("legacy_id", key): rows for key, rows in handwritten.counted(by_slug=False).items()}
        return {("customer_id", key): rows for key, rows in shop.owners(shop.made_up()).items()}


Opener = Callable[[], Trial]


@pytest.fixture(scope="module")
def openers(office: Office, old_database: str, old_file: Path, tmp_path_factory: Any) -> Iterator[dict[str, Opener]]:
    """How a fresh trial begins, by its name; each is closed when the next of its kind begins."""
    tracker = office.load(lambda url: handwritten.load(engine_of(url), by_slug=False))
    opened: list[AnyShop] = []

    def begin(case: str, place: AnyShop, *others: AnyShop) -> Trial:
        while opened:
            opened.pop().close()
        opened.extend((place, *others))
        return Trial(case, place, *others)

    def on_file(isolation: str) -> Trial:
        directory = tmp_path_factory.mktemp("killed")
        return begin("shop", SqliteShop(directory, old_file, isolation=isolation))

    def at_branch() -> Trial:
        home = office.open("template0", models=branches.Base)
        branch = office.load(lambda url: branches.load(engine_of(url), "ulm"))
        with contextlib.closing(home.tenancy()) as tenancy:
            tenancy.install(create_tables=True)
            with tenancy.platform() as session:
                session.execute(sa.insert(branches.Currency), branches.CURRENCIES)
                session.commit()
            tenancy.tenants.adopt("ulm", office.server.url(branch))
        return begin("branch", home, PostgresShop(office, branch, branches.Base, office.config))

    yield {
        "postgresql": lambda: begin("shop", office.open(old_database)),
        "sqlite files": lambda: on_file("database"),
        "sqlite common": lambda: on_file("rows"),
        "hand-written": lambda: begin("numbers", office.open(tracker, models=handwritten.Base)),
        "branch": at_branch,
    }
    while opened:
        opened.pop().close()


# The steps at which the ordinary run kills; the long one does so at all of them.
EACH = {
    "postgresql": ("tenants", "batch", "let in", "open", "index", "swap"),
    "sqlite files": ("tenants", "tenant", "close", "open", "forget"),
    "sqlite common": ("tenant", "close"),
    "hand-written": ("batch", "let in", "swap"),
    "branch": ("let in", "swap", "publish"),
}
NAMES = tuple(EACH)


def resume(trial: Trial) -> None:
    """Goes on to the end: every tenant sees its rows."""
    with trial.adoption() as (tenancy, adoption):
        assert adoption.advance().stage is Stage.ENFORCE
        trial.check(tenancy)


def return_or_resume(trial: Trial, before: Any) -> None:
    """Goes back, where the last step was not done: everything is as it was."""
    with trial.adoption() as (_, adoption):
        if adoption.status().stage is Stage.ENFORCE or adoption._ground.is_enforced:
            return resume(trial)
        assert adoption.rollback().stage is Stage.OBSERVE
    assert trial.old.shape() == before
    return None


def first_of_each(steps: list[str]) -> list[int]:
    """Returns the number of the first step of each name."""
    return sorted({name: number for number, name in reversed(list(enumerate(steps)))}.values())


@pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.soak) for name in NAMES[1:])])
def test_killed_at_each_stage(openers: dict[str, Opener], killer: Killer, name: str) -> None:
    trial = openers[name]()
    status, steps, _ = killer.advance(**trial.job())
    assert status == 0
    with trial.adoption() as (tenancy, adoption):
        assert adoption.status().stage is Stage.ENFORCE
        trial.check(tenancy)
    chosen = [number for number in first_of_each(steps) if steps[number] in EACH[name]]
    assert len(chosen) == len(EACH[name])
    # Every other one, each case beginning elsewhere; the soak takes every step of every case.
    for turn, number in enumerate(chosen[NAMES.index(name) % 2 :: 2]):
        trial = openers[name]()
        before = trial.old.shape()
        assert killer.advance(**trial.job(step=number))[0] == -signal.SIGKILL, steps[number]
        return_or_resume(trial, before) if turn % 3 == 2 else resume(trial)


@pytest.mark.parametrize("name", [pytest.param("postgresql", marks=pytest.mark.soak), "sqlite files"])
def test_killed_anywhere(openers: dict[str, Opener], killer: Killer, name: str) -> None:
    assert kill_anywhere(openers[name], killer, kills=2) > 0


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_killed_at_every_step(openers: dict[str, Opener], killer: Killer, name: str) -> None:
    _, steps, _ = killer.advance(**openers[name]().job())
    for number in range(len(steps)):
        for back in (False, True):
            trial = openers[name]()
            before = trial.old.shape()
            assert killer.advance(**trial.job(step=number))[0] == -signal.SIGKILL, steps[number]
            return_or_resume(trial, before) if back else resume(trial)
    print(f"\n{name}: killed twice at each of {len(steps)} steps")


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_killed_anywhere_fifty_times(openers: dict[str, Opener], killer: Killer, name: str) -> None:
    killed = kill_anywhere(openers[name], killer, kills=50)
    print(f"\n{name}: {killed} of 50 killed")
    assert killed >= 40


def kill_anywhere(opener: Opener, killer: Killer, *, kills: int) -> int:
    dice, killed = random.Random(29), 0
    _, _, calls = killer.advance(**opener().job())
    for turn in range(kills):
        trial = opener()
        before = trial.old.shape()
        status, _, _ = killer.advance(**trial.job(call=dice.randrange(1, calls)))
        assert status in (0, -signal.SIGKILL)
        killed += status != 0
        return_or_resume(trial, before) if turn % 2 else resume(trial)
    return killed


def test_what_a_killed_adoption_leaves_is_seen(openers: dict[str, Opener], killer: Killer) -> None:
    """The control: before anyone goes on, the traces are there; and the doctor is content afterwards."""
    trial = openers["postgresql"]()
    before = trial.old.shape()
    _, steps, _ = killer.advance(**openers["postgresql"]().job())
    trial = openers["postgresql"]()
    killer.advance(**trial.job(step=steps.index("swap")))
    assert trial.old.shape() != before
    with trial.adoption() as (tenancy, adoption):
        status = adoption.status()
        assert (status.stage, status.state, status.step) == (Stage.FILTER, "running", "swap")
        adoption.advance()
        check_adopted(tenancy, shop.owners(shop.made_up()))
