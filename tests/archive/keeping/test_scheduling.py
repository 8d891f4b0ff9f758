"""Schedules: due by the catalog's clock, had by one runner, put off by failures, kept from nobody else."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tenantry import Tenancy, Tenant
from tenantry.archive.retention import Keep
from tenantry.archive.scheduling import Plan, Schedules, next_attempt, next_turn, plan_of
from tenantry.catalog import schedules as catalog
from tenantry.catalog.schedules import Schedule
from tenantry.catalog.tables import now, schedules
from tenantry.errors import ConfigurationError, ScheduleUnknown, StoreFull, TenantNotFound

STORE = "a store"
DAILY = Plan(keep=Keep(daily=7, weekly=4))


class Desk:
    """What the backups of a test did."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.plans: list[Plan] = []
        self.fails: set[str] = set()

    def back_up(self, tenant: Tenant, plan: Plan) -> str:
        if tenant.slug in self.fails:
            raise StoreFull(name="x", reason="It is full.")
        self.done.append(tenant.slug)
        self.plans.append(plan)
        return f"{tenant.slug}.tenantry"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def clock(tenancy: Tenancy, desk: Desk) -> Schedules:
    return Schedules(tenancy, STORE, desk.back_up)


def of(tenancy: Tenancy, slug: str) -> Schedule:
    tenant = tenancy.tenants.get(slug)
    with tenancy.catalog("Looking") as connection:
        found = catalog.get(connection, tenant.id)
    assert found is not None
    return found


def let_pass(tenancy: Tenancy, **time: float) -> None:
    """Has every schedule be that much older."""
    ago = timedelta(**time)
    with tenancy.catalog("Waiting") as connection:
        for row in connection.execute(select(schedules)).all():
            older = {"due_at": row.due_at - ago, "created_at": row.created_at - ago}
            connection.execute(update(schedules).where(schedules.c.tenant_id == row.tenant_id).values(**older))


def test_the_first_backup_is_due_at_once_and_the_next_after_the_interval(
    tenancy: Tenancy, clock: Schedules, desk: Desk
) -> None:
    clock.put("acme", DAILY)
    assert [(turn.tenant.slug, turn.archive, turn.error) for turn in clock.work()] == [("acme", "acme.tenantry", None)]
    assert clock.work() == []
    found = of(tenancy, "acme")
    assert found.due_at == found.anchor + timedelta(hours=24)
    assert found.ended_at is not None
    assert desk.plans == [DAILY] == [plan_of(found)]
    let_pass(tenancy, hours=23)
    assert clock.work() == []
    let_pass(tenancy, hours=2)
    assert len(clock.work()) == 1


def test_what_was_missed_is_not_made_up_for(tenancy: Tenancy, clock: Schedules, desk: Desk) -> None:
    clock.put("acme", DAILY)
    let_pass(tenancy, days=9, hours=1)
    assert len(clock.work()) == 1
    found = of(tenancy, "acme")
    assert found.due_at == found.anchor + timedelta(days=10)


def test_turns_keep_to_their_hour_whatever_the_jitter(tenancy: Tenancy, clock: Schedules) -> None:
    clock.put("acme", Plan(jitter=timedelta(hours=2)))
    found = of(tenancy, "acme")
    for day in range(50):
        at = found.anchor + timedelta(days=day, hours=3)
        late = next_turn(found, at) - (found.anchor + timedelta(days=day + 1))
        assert timedelta(0) <= late <= timedelta(hours=2)


def test_a_failure_is_recorded_stops_nobody_and_is_tried_again_ever_later(
    tenancy: Tenancy, clock: Schedules, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.fails = {"acme"}
    clock.put("acme", DAILY)
    clock.put("globex", DAILY)
    with caplog.at_level(logging.INFO, "tenantry.archive"):
        turns = clock.work()
    assert {turn.tenant.slug: bool(turn.error) for turn in turns} == {"acme": True, "globex": False}
    acme = tenancy.tenants.get("acme").id
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("ERROR", f"Backup failed for tenant {acme}: {StoreFull(name='x', reason='It is full.')}") in said
    assert any(line.startswith("Backup completed for tenant") for _, line in said)
    clock.cancel("globex")
    waits = []
    for failures in range(1, 12):
        found = of(tenancy, "acme")
        assert (found.failures, "It is full" in (found.error or "")) == (failures, True)
        waits.append(found.due_at - (found.ended_at or found.due_at))
        let_pass(tenancy, seconds=(found.due_at - now()).total_seconds() + 1)
        assert len(clock.work()) == 1
    minutes = [round(wait.total_seconds() / 60) for wait in waits]
    assert minutes[:6] == [5, 10, 20, 40, 80, 160]
    assert max(minutes) <= 24 * 60
    desk.fails = set()
    let_pass(tenancy, days=1)
    clock.work()
    assert (of(tenancy, "acme").failures, of(tenancy, "acme").error) == (0, None)
    assert next_attempt(found, found.anchor) <= next_turn(found, found.anchor)


def test_a_schedule_is_replaced_paused_and_cancelled(tenancy: Tenancy, clock: Schedules, desk: Desk) -> None:
    clock.put("acme", DAILY)
    clock.put("acme", Plan(every=timedelta(hours=6), verify=True))
    (only,) = clock.listing()
    assert plan_of(only) == Plan(every=timedelta(hours=6), verify=True)
    clock.pause("acme")
    assert clock.work() == []
    clock.pause("acme", resume=True)
    assert len(clock.work()) == 1
    clock.cancel("acme")
    assert clock.listing() == []
    for call in (clock.cancel, clock.pause):
        with pytest.raises(ScheduleUnknown, match="acme"):
            call("acme")
        with pytest.raises(TenantNotFound):
            call("nobody")


def test_a_turn_that_is_cancelled_or_replaced_meanwhile_comes_to_its_end(tenancy: Tenancy) -> None:
    again: list[Schedules] = []

    def cancelling(tenant: Tenant, _: Plan) -> str:
        again[0].cancel(tenant.slug)
        return "done"

    def replacing(tenant: Tenant, _: Plan) -> str:
        again[0].put(tenant.slug, Plan(every=timedelta(hours=1)))
        return "done"

    for meanwhile, left in ((cancelling, []), (replacing, [3600.0])):
        again[:] = [Schedules(tenancy, STORE, meanwhile)]
        again[0].put("acme", DAILY)
        assert len(again[0].work()) == 1
        assert [each.every for each in again[0].listing()] == left
    assert of(tenancy, "acme").worker is None


def test_every_tenant_is_backed_up_spread_out_also_one_that_comes_later(
    tenancy: Tenancy, clock: Schedules, desk: Desk
) -> None:
    clock.put("acme", Plan(every=timedelta(hours=1)))
    clock.put(None, DAILY)
    assert [turn.tenant.slug for turn in clock.work()] == ["acme"]
    followed = {each.tenant_id: each for each in clock.listing() if not each.own}
    known = {tenancy.tenants.get(slug).id for slug in ("globex", "initech")}
    assert known <= set(followed)
    spread = timedelta(hours=2.4)
    assert all(timedelta(0) <= each.due_at - each.anchor <= spread for each in followed.values())
    late = tenancy.tenants.create(f"late-{uuid.uuid4().hex[:8]}")
    let_pass(tenancy, hours=3)
    clock.work()
    assert {"globex", "initech"} <= set(desk.done)
    let_pass(tenancy, hours=3)
    clock.work()
    assert late.slug in desk.done
    tenancy.tenants.erase(late.slug, confirm=late.slug)
    clock.work()
    assert late.id not in {each.tenant_id for each in clock.listing()}
    clock.pause(None)
    let_pass(tenancy, days=2)
    assert {turn.tenant.slug for turn in clock.work()} == {"acme"}
    clock.cancel(None)
    assert [each.tenant_id for each in clock.listing()] == [tenancy.tenants.get("acme").id]


def test_suspended_tenants_and_other_stores_wait(tenancy: Tenancy, clock: Schedules, desk: Desk) -> None:
    clock.put("acme", DAILY)
    assert Schedules(tenancy, "another store", desk.back_up).work() == []
    tenancy.tenants.suspend("acme")
    try:
        assert clock.work() == []
    finally:
        tenancy.tenants.resume("acme")
    assert len(clock.work()) == 1


def test_of_many_runners_one_has_a_turn(tenancy: Tenancy, desk: Desk) -> None:
    for slug in ("acme", "globex", "initech"):
        Schedules(tenancy, STORE, desk.back_up).put(slug, DAILY)
    runners = [Schedules(tenancy, STORE, desk.back_up) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda runner: runner.work(jobs=2), runners))
    assert Counter(desk.done) == {"acme": 1, "globex": 1, "initech": 1}


RUNNER = """
import sys
from keeping_program import tenancy
from tenantry.archive.scheduling import Schedules

def back_up(tenant, plan):
    print("begun", flush=True)
    input()

Schedules(tenancy(), "a store", back_up).work()
"""
PROGRAM = """
import json, os
from sqlalchemy.orm import DeclarativeBase, Mapped
from tenantry import Tenancy
from tenantry.models import TenantOwned

class Base(DeclarativeBase):
    pass

class Ticket(TenantOwned, Base):
    __tablename__ = "tickets"
    subject: Mapped[str]

def tenancy():
    return Tenancy(models=Base, **json.loads(os.environ["KEEPING"]))
"""


@contextlib.contextmanager
def another_process(tenancy: Tenancy, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a turn in hand and does not come to its end."""
    main = tenancy.servers.main
    if main.kind == "sqlite":
        where = {"url": f"sqlite:///{main.file('catalog.sqlite3').parent}"}
    else:
        urls = {f"{login}_url": main.url(login, action="x").render_as_string(False) for login in ("owner", "platform")}
        where = {"url": main.url("app", action="x").render_as_string(False), **urls}
    (directory / "keeping_program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(directory), "KEEPING": json.dumps(where)}
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def test_a_turn_is_taken_over_when_its_process_is_gone_and_not_before(
    tenancy: Tenancy, clock: Schedules, desk: Desk, tmp_path: Path
) -> None:
    clock.put("acme", DAILY)
    with another_process(tenancy, tmp_path) as process:
        assert clock.work() == []
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        assert [turn.tenant.slug for turn in clock.work()] == ["acme"]
    assert (of(tenancy, "acme").failures, of(tenancy, "acme").error) == (0, None)


def test_another_machines_turn_is_taken_over_when_its_lease_is_over(tenancy: Tenancy, clock: Schedules) -> None:
    clock.put("acme", DAILY)
    with tenancy.catalog("Holding") as connection:
        elsewhere = {"holder": "elsewhere:1:1", "worker": uuid.uuid4(), "lease_until": now() + timedelta(minutes=1)}
        connection.execute(update(schedules).values(**elsewhere))
    assert clock.work() == []
    with tenancy.catalog("Waiting") as connection:
        connection.execute(update(schedules).values(lease_until=now()))
    assert len(clock.work()) == 1


def test_what_is_not_begun_stays_due_when_it_is_over(tenancy: Tenancy) -> None:
    over = threading.Event()

    def back_up(tenant: Tenant, _: Plan) -> str:
        over.set()
        return tenant.slug

    clock = Schedules(tenancy, STORE, back_up)
    for slug in ("acme", "globex", "initech"):
        clock.put(slug, DAILY)
    assert len(clock.work(jobs=1, over=over)) == 1
    assert len(clock.work(jobs=1, over=over)) == 0
    assert len(clock.work(jobs=1)) == 2


def test_a_thread_takes_what_is_due_while_a_block_lasts(tenancy: Tenancy) -> None:
    done = threading.Event()

    def back_up(tenant: Tenant, _: Plan) -> str:
        done.set()
        return tenant.slug

    clock = Schedules(tenancy, STORE, back_up)
    with clock.kept(every=0.05):
        clock.put("acme", DAILY)
        assert done.wait(30)
    assert of(tenancy, "acme").worker is None


@pytest.mark.parametrize(
    ("every", "jitter"),
    [(timedelta(0), timedelta(0)), (timedelta(hours=1), timedelta(hours=2)), (-DAILY.every, timedelta(0))],
)
def test_impossible_plans_are_refused(every: timedelta, jitter: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="interval of at least a second"):
        Plan(every=every, jitter=jitter)
