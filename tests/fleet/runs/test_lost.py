"""Connections lost, servers gone, workers that hang: the homes themselves tell what happened."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tenantry import Tenancy
from tenantry.catalog.tables import fleet_work, now
from tenantry.embedded import PostgresServer
from tenantry.errors import OutcomeUnknown, RunUnknown
from tenantry.events import Step, listen
from tenantry.fleet import Applied, Fleet, Home, HomeKind, Pace, RunState, WorkState

from .models import Base
from .plain import PlainHistory
from .test_rings import canary_of
from .test_upgrading import paused
from .worlds import World, check_once


@contextlib.contextmanager
def listening(hear: Any) -> Iterator[None]:
    stop = listen(lambda step: hear(step) if step.operation == "fleet" else None)
    yield
    stop()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that PostgreSQL can reach also where the tests run as root, unlike those of pytest."""
    directory = Path(tempfile.mkdtemp(prefix="tenantry-"))
    directory.chmod(0o755)
    yield directory / "pg"
    shutil.rmtree(directory)


def test_a_lost_connection_is_tried_again(world: World) -> None:
    """The backend that migrates a schema is terminated in the middle of its transaction."""
    with world.fleet(stall=0.3) as fleet:
        slug, ended = canary_of(fleet), threading.Event()

        def terminate() -> None:
            question = "select pg_terminate_backend(pid) from pg_stat_activity where query like 'SELECT pg_sleep%'"
            with world.postgres.admin(world.database) as connection:
                while not ended.is_set():
                    if connection.execute(question + " and datname = current_database()").fetchall():
                        ended.set()
                    time.sleep(0.02)

        thread = threading.Thread(target=terminate)

        def hear(step: Step) -> None:
            if (
                step.name == "apply"
                and step.facts["home"].slug == slug
                and not thread.is_alive()
                and not ended.is_set()
            ):
                thread.start()

        with listening(hear):
            outcome = fleet.upgrade(where=lambda home: home.slug == slug)
        ended.set()
        thread.join()
        assert outcome.ok
        assert [work.attempt for work in outcome.works] == [2]
        assert fleet.upgrade().ok
    check_once(world)


class Forgetful(PlainHistory):
    """Loses the answer of each home's first commit, as a network does that breaks at the wrong moment."""

    def __init__(self, tenancy: Tenancy) -> None:
        super().__init__(tenancy)
        self._lost: set[str] = set()

    def apply(self, home: Home, target: str | None, *, pace: Pace) -> Applied:
        applied = super().apply(home, target, pace=pace)
        if home.key not in self._lost:
            self._lost.add(home.key)
            raise OutcomeUnknown(action="the migration")
        return applied


def test_a_lost_answer_is_looked_up_in_the_home(world: World) -> None:
    with contextlib.closing(world.tenancy()) as tenancy:
        fleet = Fleet(tenancy, Forgetful(tenancy))
        outcome = fleet.upgrade()
        assert outcome.ok
        assert {(work.before, work.after, work.claimed) for work in outcome.works} == {(None, "r3", 1)}
        check_once(world)
        assert fleet.rollback(outcome.run.id).ok
        assert set(fleet.current().values()) == {None}


def test_a_worker_elsewhere_that_is_silent_is_replaced_after_its_lease(world: World) -> None:
    """What another machine holds is left alone as long as its lease lasts, and looked at afterwards."""
    with world.fleet() as fleet:
        outcome = paused(fleet, after=2)
        held = outcome.left[0].home.key
        with fleet._tenancy.catalog("Working elsewhere") as connection:
            silent = {"state": WorkState.RUNNING, "holder": "elsewhere:1:2", "worker": uuid.uuid4()}
            lease = now() + datetime.timedelta(seconds=1)
            connection.execute(update(fleet_work).where(fleet_work.c.home == held).values(**silent, lease_until=lease))
        told: list[str] = []

        def hear(step: Step) -> None:
            if step.name == "sweep" or (step.name == "apply" and step.facts["home"].key == held):
                told.append(step.name)

        with listening(hear):
            assert fleet.resume().ok
        assert told == ["sweep", "apply"]
    check_once(world)


def test_a_server_that_is_gone_leaves_its_homes_unknown(tmp_path: Path, place: Path) -> None:
    """It stops in the middle of a run, and comes back: what was under way there is looked at then."""
    server = PostgresServer(place).start()
    stopped = threading.Event()
    try:
        url = server.url("saas")
        tenancy = Tenancy(f"sqlite:///{tmp_path / 'data'}", models=Base)
        tenancy.servers.add("pg", url, owner_url=url)
        tenancy.install(create_tables=True)
        for number in range(4):
            tenancy.tenants.create(f"t{number}", server="pg", isolation="schema")
        fleet = Fleet(tenancy, PlainHistory(tenancy))

        def hear(step: Step) -> None:
            if step.name == "apply" and step.facts["home"].kind is HomeKind.SCHEMA and not stopped.is_set():
                stopped.set()
                server.stop()

        with listening(hear):
            outcome = fleet.upgrade(jobs=1, pace=Pace(attempts=2))
        assert stopped.is_set()
        assert outcome.run.state is RunState.STOPPED
        assert "could not be looked at" in outcome.run.reason
        assert outcome.unknown
        server = PostgresServer(place).start()
        again = server.url("saas")
        tenancy.close()
        tenancy = Tenancy(f"sqlite:///{tmp_path / 'data'}", models=Base)
        tenancy.servers.add("pg", again, owner_url=again)
        outcome = Fleet(tenancy, PlainHistory(tenancy)).resume()
        assert outcome.ok
        assert {work.after for work in outcome.works} == {"r3"}
        tenancy.close()
    finally:
        server.stop()


def test_only_the_newest_unfinished_run_is_resumed(world: World) -> None:
    with world.fleet() as fleet:
        slug = canary_of(fleet)
        world.poison(slug)
        failed = fleet.upgrade("r2")
        assert failed.run.state is RunState.FAILED
        world.cure()
        assert fleet.upgrade().ok
        with pytest.raises(RunUnknown):
            fleet.resume()
        late = fleet.resume(failed.run.id)
        assert late.run.state is RunState.FAILED
        assert [work.home.slug for work in late.failed] == [slug]
        assert "stands at r3" in str(late.failed[0].error)
    check_once(world)
