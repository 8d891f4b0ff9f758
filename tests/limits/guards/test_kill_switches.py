"""Kill switches: thrown, prolonged, released, expired, obeyed; and nothing gets through once they are thrown."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Ground, Place
from sqlalchemy import MetaData, func, select, text, update
from sqlalchemy.exc import DBAPIError

from tenantry.errors import ConfigurationError, KillSwitchActive
from tenantry.limits.kill_switches import KillSwitches

from .crowd import Crowd, crowd
from .places import EVERYWHERE
from .stage import Base, Effect, Guards, effect

EXACT = [Place("postgresql-rows", "sync"), Place("sqlite-file", "sync")]
POSTGRESQL = [place for place in PLACES if place.postgresql and place.cell.endswith("rows")]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_switch_stops_its_workflow_or_the_whole_tenant_and_no_other(ground: Ground, place: Place) -> None:
    switches: KillSwitches = ground.made(place).switches
    with ground.session(place) as door:
        door.call(switches.guard)
        door.call(switches.activate, workflow="sync", reason="the CRM is down", by="ann")
        assert door.call(switches.is_active, workflow="sync")
        assert not door.call(switches.is_active, workflow="mail")
        assert not door.call(switches.is_active)
        with pytest.raises(
            KillSwitchActive, match=r"'sync' was stopped for this tenant: the CRM is down\. "
        ) as stopped:
            door.call(switches.guard, workflow="sync")
        assert (stopped.value.workflow, stopped.value.retry_after) == ("sync", None)
        door.call(switches.guard, workflow="mail")
        door.call(switches.activate, reason="breach!", seconds=60)
        with pytest.raises(KillSwitchActive, match="All work") as stopped:
            door.call(switches.guard, workflow="mail")
        assert 0 < stopped.value.retry_after <= 60
        assert [found.workflow for found in door.call(switches.active)] == [None, "sync"]
        door.commit()
    with ground.session(place, "far") as other:
        other.call(switches.guard, workflow="sync")
        assert other.call(switches.active) == []
        assert not other.call(switches.deactivate, workflow="sync")
    with ground.session(place) as door:
        assert door.call(switches.deactivate, by="ann")
        assert not door.call(switches.deactivate)
        door.call(switches.guard, workflow="mail")
    told = [(said["event_type"], said["details"]["workflow"], said["actor"]) for said in ground.made(place).said]
    assert told == [
        ("kill_switch.activated", "sync", "ann"),
        ("kill_switch.activated", None, None),
        ("kill_switch.deactivated", None, "ann"),
    ]


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_switch_expires_and_is_prolonged_but_never_shortened(ground: Ground, place: Place) -> None:
    switches = ground.made(place).switches
    table = Base.metadata.tables["kill_switches"]
    with ground.session(place) as door:
        door.session.info["actor"] = 7
        first = door.call(switches.activate, reason="one", seconds=600)
        shorter = door.call(switches.activate, reason="two", seconds=60)
        assert (shorter.expires_at, shorter.activated_at) == (first.expires_at, first.activated_at)
        longer = door.call(switches.activate, reason="three", seconds=6000)
        assert longer.expires_at > first.expires_at
        assert (longer.by, longer.reason) == ("7", "three")
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
        door.run(lambda session: session.execute(update(table).values(expires_at=past)))
        door.call(switches.guard)
        assert not door.call(switches.deactivate)
        again = door.call(switches.activate, reason="four", seconds=60)
        assert again.activated_at > first.activated_at
        forever = door.call(switches.activate, reason="five")
        assert (forever.expires_at, door.call(switches.activate, reason="six", seconds=1).expires_at) == (None, None)
        # One row, whatever was thrown: the whole tenant is a value and no NULL.
        assert door.run(lambda session: session.scalar(select(func.count()).select_from(table))) == 1


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_guarded_session_does_nothing_more_and_a_guarded_function_does_not_begin(
    ground: Ground, place: Place
) -> None:
    guards: Guards = ground.made(place)
    ran = []

    @guards.switches.guarded("sync")
    def work(_: Any) -> None:
        ran.append(1)

    @guards.switches.guarded("sync")
    async def work_async(_: Any) -> None:
        ran.append(1)

    async def obeying() -> None:
        async with guards.switches.aio.session(f"near-{place.cell}", workflow="sync") as db:
            db.add(effect())
            await db.commit()
            await guards.switches.aio.activate(db, workflow="sync", reason="enough")
            await db.commit()
            for _ in range(2):
                with pytest.raises(KillSwitchActive):
                    await db.execute(text("SELECT 1"))
            await db.rollback()
            with pytest.raises(KillSwitchActive):
                await db.execute(text("SELECT 1"))

    def obeying_sync() -> None:
        with guards.switches.session(f"near-{place.cell}", workflow="sync") as db:
            db.add(effect())
            db.commit()
            guards.switches.activate(db, workflow="sync", reason="enough")
            db.commit()
            for _ in range(2):
                # Not even for somebody who goes on after the refusal.
                with pytest.raises(KillSwitchActive):
                    db.execute(text("SELECT 1"))
            db.rollback()
            with pytest.raises(KillSwitchActive):
                db.execute(text("SELECT 1"))

    obeying_sync() if place.door == "sync" else ground.runner.run(obeying())
    with ground.session(place) as door:
        with pytest.raises(KillSwitchActive):
            work(door.session) if place.door == "sync" else ground.runner.run(work_async(door.session))
        door.call(guards.switches.deactivate, workflow="sync")
        work(door.session) if place.door == "sync" else ground.runner.run(work_async(door.session))
    assert ran == [1]


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_a_session_that_cannot_ask_does_nothing_either(ground: Ground, place: Place) -> None:
    tenancy = ground.tenancy(place)
    missing = KillSwitches(tenancy)
    # As where the application's migrations have not made the table yet.
    missing._table = missing._table.to_metadata(MetaData(), name="never_made")
    with missing.session(f"near-{place.cell}") as db:
        for _ in range(2):
            with pytest.raises(DBAPIError, match="never_made"):
                db.execute(text("SELECT 1"))


@pytest.mark.parametrize("place", POSTGRESQL, ids=str)
def test_draining_waits_for_who_passed_before_and_no_longer_than_it_is_told(ground: Ground, place: Place) -> None:
    switches = ground.made(place).switches
    key = f"near-{place.cell}"

    def drain(**options: Any) -> bool:
        if place.door == "sync":
            return switches.drain(key, **options)
        return ground.runner.run(switches.aio.drain(key, **options))

    with ground.session(place) as working:
        working.call(switches.guard, workflow="sync")
        assert not drain(workflow="sync", seconds=0.05)
        assert not drain(seconds=0.05)
        assert drain(workflow="mail", seconds=0.05)
        working.rollback()
        assert drain(workflow="sync", seconds=5)


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_what_cannot_be_a_switch_is_refused(ground: Ground, place: Place) -> None:
    switches = ground.made(place).switches
    with ground.session(place) as door:
        with pytest.raises(ConfigurationError, match="no reason"):
            door.call(switches.activate, reason=" ")
        for wrong in ("", "x" * 256):
            with pytest.raises(ConfigurationError, match="name of a workflow"):
                door.call(switches.activate, reason="why", workflow=wrong)
            with pytest.raises(ConfigurationError, match="name of a workflow"):
                door.call(switches.guard, workflow=wrong)
        assert door.call(switches.active) == []


def stopped_at(ground: Ground, place: Place, clients: Crowd) -> tuple[int, int, int]:
    """Throws a switch on 16 clients at work; returns the effects when it was drained, in the end, and as they tell."""
    switches, key = ground.made(place).switches, f"near-{place.cell}"
    clients.begin("work", "sync")
    while _effects(ground, key) < 32:
        pass
    with ground.tenancy(place).transaction(key) as db:
        switches.activate(db, workflow="sync", reason="a test")
    assert switches.drain(key, workflow="sync", seconds=60)
    drained = _effects(ground, key)
    told = sum(clients.results())
    in_the_end = _effects(ground, key)
    with ground.tenancy(place).transaction(key) as db:
        switches.deactivate(db, workflow="sync")
        db.execute(Effect.__table__.delete())
    return drained, in_the_end, told


def _effects(ground: Ground, key: str) -> int:
    place = Place(key.removeprefix("near-"), "sync")
    with ground.tenancy(place).session(key, read_only=True) as db:
        return db.scalar(select(func.count()).select_from(Effect)) or 0


@pytest.mark.parametrize("place", EXACT, ids=str)
def test_no_client_gets_through_once_a_switch_is_thrown(ground: Ground, place: Place) -> None:
    with crowd(ground, place, processes=2) as clients:
        drained, in_the_end, told = stopped_at(ground, place, clients)
    assert drained == in_the_end == told


@pytest.mark.soak
@pytest.mark.parametrize("place", EXACT, ids=str)
def test_a_switch_is_exact_in_every_round(ground: Ground, place: Place) -> None:
    late = []
    with crowd(ground, place, processes=4) as clients:
        for _ in range(20):
            drained, in_the_end, told = stopped_at(ground, place, clients)
            late.append((in_the_end - drained, in_the_end - told))
    assert late == [(0, 0)] * 20
    print(
        f"\n{place}: 20 rounds of 16 clients: {sum(a for a, _ in late)} effects after a switch was thrown and drained"
    )
