"""Recording and reading, in every cell and through every door."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from cells import PLACES, SYNC_PLACES, Door, Ground, Place
from sqlalchemy import func, insert, select
from sqlalchemy.exc import DBAPIError

from tenantry import Tenancy, errors
from tenantry.audit import Audit, Entry
from tenantry.audit.entries import NAMES

from .models import Base, Leaf

# For what does not depend on how far apart tenants stand.
ENOUGH = [place for place in SYNC_PLACES if place.cell in ("postgresql-rows", "sqlite-file", "sqlite-rows")]


def marked(place: Place) -> str:
    """Returns a kind of event that no other test has recorded."""
    return f"test.{place}.{uuid.uuid4().hex[:8]}"


def recorded(door: Door, audit: Audit, kind: str, **more: Any) -> None:
    door.call(audit.record, event_type=kind, category="test", description="Something was done", **more)


def read(ground: Ground, place: Place, kind: str, side: str = "near") -> list[Entry]:
    with ground.session(place, side) as door:
        return door.call(ground.made(place).entries, event_type=kind)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_an_event_is_kept_with_who_did_it_and_stays_the_tenants_own(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    with ground.session(place) as door:
        door.session.info.update(actor="ann@example.com", impersonator="root", correlation_id="c-1")
        recorded(
            door, audit, kind, resource=("document", 7), changes={"a": [1, 1.5, 1e20, None]}, details={"ü": "\x00"}
        )
        recorded(door, audit, kind, actor="bob")
        door.commit()
    first, second = read(ground, place, kind)
    assert (first.actor, first.impersonator, first.correlation_id) == ("ann@example.com", "root", "c-1")
    assert (first.resource_type, first.resource_id) == ("document", "7")
    assert (first.changes, first.details) == ({"a": [1, 1.5, 1e20, None]}, {"ü": "\ufffd"})
    assert (second.actor, second.impersonator, second.seq) == ("bob", "root", first.seq + 1)
    assert first.recorded_at <= second.recorded_at
    assert abs(first.recorded_at - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
    assert read(ground, place, kind, "far") == []
    for side in ("near", "far"):
        with ground.session(place, side) as door:
            assert door.call(audit.verify) == []


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_what_rolls_back_was_not_done_and_what_failed_is_kept(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    with ground.session(place) as door:
        recorded(door, audit, kind)
        recorded(door, audit, kind, status="denied")
        recorded(door, audit, kind, kept=True)
        assert len(door.call(audit.entries, event_type=kind)) == 3
    assert [entry.status for entry in read(ground, place, kind)] == ["denied", "success"]
    with ground.session(place) as door:
        recorded(door, audit, kind, status="denied", kept=False)
    assert len(read(ground, place, kind)) == 2


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_failed_action_is_on_record_although_its_transaction_is_not(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    event = {"event_type": kind, "category": "test", "description": "Two leaves"}
    with pytest.raises(ValueError, match="no more"), ground.session(place) as door:
        _act(door, audit, event, ValueError("no more"))
    with ground.session(place) as door:
        _act(door, audit, event, None)
        door.commit()
    failure, success = read(ground, place, kind)
    assert (failure.status, failure.details) == ("failure", {"leaf": 1, "error": "ValueError", "message": "no more"})
    assert (success.status, success.details) == ("success", {"leaf": 1})


def _act(door: Door, audit: Audit, event: dict[str, Any], error: Exception | None) -> None:
    if door.place.door != "sync":
        door.ground.runner.run(_act_awaited(door, audit, event, error))
        return
    with audit.action(door.session, **event) as details:
        details["leaf"] = 1
        door.session.add(Leaf(name=event["event_type"]))
        door.session.flush()
        if error:
            raise error


async def _act_awaited(door: Door, audit: Audit, event: dict[str, Any], error: Exception | None) -> None:
    async with audit.aio.action(door.session, **event) as details:
        details["leaf"] = 1
        door.session.add(Leaf(name=event["event_type"]))
        await door.session.flush()
        if error:
            raise error


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_a_savepoint_takes_with_it_what_was_recorded_in_it_but_failures(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    with ground.session(place) as door:
        session = door.session
        say = _sayer(session, audit, kind)
        say("outside")
        with session.begin_nested():
            say("released")
            inner = session.begin_nested()
            say("rolled back")
            say("failed", status="failure")
            audit.entries(session)
            say("rolled back after it was sealed")
            inner.rollback()
            say("after")
        outer = session.begin_nested()
        audit.entries(session)
        outer.rollback()
        door.commit()
        assert audit.verify(session) == []
    said = [entry.description for entry in read(ground, place, kind)]
    assert said == ["outside", "released", "failed", "after"]


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_what_a_rolled_back_savepoint_sealed_of_outside_is_sealed_again(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    with ground.session(place) as door:
        say = _sayer(door.session, audit, kind)
        say("before")
        savepoint = door.session.begin_nested()
        audit.entries(door.session)
        savepoint.rollback()
        door.commit()
        assert audit.verify(door.session) == []
    assert [entry.description for entry in read(ground, place, kind)] == ["before"]


def _sayer(session: Any, audit: Audit, kind: str) -> Any:
    def say(what: str, **more: Any) -> None:
        audit.record(session, event_type=kind, category="test", description=what, **more)

    return say


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_a_failure_outlives_a_commit_that_the_database_refuses(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    leaf = uuid.uuid4()
    with ground.session(place) as door:
        recorded(door, audit, kind, status="failure")
        recorded(door, audit, kind)
        door.session.add_all([Leaf(id=leaf, name=name) for name in "ab"])
        with pytest.raises(Exception, match=r"(?i)unique|duplicate|conflicts"):
            door.session.commit()
    assert [entry.status for entry in read(ground, place, kind)] == ["failure"]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_seeds_own_names(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    user = uuid.uuid4()
    with ground.session(place) as door:
        tenant = door.session.tenant.id
        said = {"event_type": kind, "event_category": "integration", "action_description": "Created a note"}
        where = {"ip_address": "192.168.1.77", "user_agent": "Slack-Bot/1.0"}
        door.call(
            audit.log_event,
            tenant_id=tenant,
            user_id=user,
            status="success",
            resource_type="meeting_session",
            resource_id=user,
            **said,
            **where,
        )
        door.call(audit.log_event, tenant_id=str(tenant), status="failure", error_message="No route", **said)
        logs = door.call(audit.get_tenant_logs, tenant_id=tenant, days=7, limit=2)
        assert [entry.status for entry in logs] == ["failure", "success"]
        assert logs[1].actor == logs[1].resource_id == str(user)
        assert logs[1].details == {"ip_address": "192.168.1.0/24", "user_agent": "Slack-Bot/1.0"}
        failures = door.call(audit.get_recent_failures, tenant_id=tenant, hours=24)
        assert (failures[0].event_type, failures[0].details) == (kind, {"error_message": "No route"})
        assert {entry.status for entry in failures}.isdisjoint({"success"})
        assert door.call(audit.get_tenant_logs, days=0) == []
        for method in (audit.get_tenant_logs, audit.get_recent_failures):
            with pytest.raises(errors.CrossTenant):
                door.call(method, tenant_id=uuid.uuid4())
        with pytest.raises(errors.CrossTenant):
            door.call(audit.log_event, tenant_id=uuid.uuid4(), **said)


@pytest.mark.parametrize("place", ENOUGH, ids=str)
def test_entries_are_found_by_what_they_say_and_read_on_from_the_last_one_seen(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    with ground.session(place) as door:
        for number in range(6):
            status, kept = ("denied", False) if number == 3 else ("success", False)
            resource = ("thing", kind) if number % 2 else ("thing", number)
            recorded(door, audit, kind, status=status, kept=kept, resource=resource, actor=f"{kind}-{number % 3}")
        door.commit()
        everything = audit.entries(door.session, event_type=kind)
        assert audit.entries(door.session, event_type=kind, after=everything[3].seq) == everything[4:]
        back = audit.entries(door.session, event_type=kind, after=everything[3].seq, limit=2, newest_first=True)
        assert back == [everything[2], everything[1]]
        assert audit.entries(door.session, resource=("thing", kind)) == everything[1::2]
        assert audit.entries(door.session, actor=f"{kind}-1") == everything[1::3]
        assert audit.entries(door.session, event_type=kind, failed=True) == [everything[3]]
        assert audit.entries(door.session, event_type=kind, status="denied", category="test") == [everything[3]]
        when = everything[0].recorded_at
        assert audit.entries(door.session, event_type=kind, since=when) == everything
        assert audit.entries(door.session, event_type=kind, until=when) == []


@pytest.mark.parametrize("place", SYNC_PLACES, ids=str)
def test_the_neighbour_is_neither_seen_nor_counted(ground: Ground, place: Place) -> None:
    audit, kind = ground.made(place), marked(place)
    with ground.session(place, "far") as door:
        recorded(door, audit, kind)
        door.commit()
        (theirs,) = audit.entries(door.session, event_type=kind)
    table = audit.recorder.tables.entries
    with ground.session(place) as door:
        own = door.session.tenant.id
        assert set(door.session.scalars(select(table.c.tenant_id))) <= {own}
        assert door.session.scalar(select(func.count()).where(table.c.id == theirs.id)) == 0
        before = door.session.scalar(select(func.max(table.c.seq))) or 0
        recorded(door, audit, kind)
        door.commit()
        assert audit.entries(door.session, event_type=kind)[0].seq == before + 1
        # The id of another's entry is free here: its being taken elsewhere is no signal.
        row = {**{name: getattr(theirs, name) for name in NAMES}, "tenant_id": own, "seq": before + 9}
        door.session.execute(insert(table).values(row))


def test_the_audits_own_words_and_other_peoples_sessions_are_refused(ground: Ground) -> None:
    place = SYNC_PLACES[-1]
    audit = ground.made(place)
    with ground.session(place) as door:
        for kind in ("audit.purged", "audit.redacted", "", "a\nb"):
            with pytest.raises(errors.AuditRefused):
                recorded(door, audit, kind)
        with pytest.raises(errors.ConfigurationError, match="another Tenancy"):
            ground.made(SYNC_PLACES[0]).record(door.session, event_type="a", category="b", description="c")


def test_of_two_that_record_at_once_the_second_fails_to_serialise_and_is_repeated(ground: Ground) -> None:
    place = SYNC_PLACES[0]
    audit, kind = ground.made(place), marked(place)
    tenancy, slug = ground.tenancy(place), f"near-{place.cell}"
    with tenancy.session(slug, isolation_level="SERIALIZABLE") as session:
        assert session.scalars(select(func.count()).select_from(Leaf)).one() >= 0
        with ground.session(place) as door:
            recorded(door, audit, kind)
            door.commit()
        audit.record(session, event_type=kind, category="test", description="late")
        with pytest.raises(DBAPIError, match="could not serialize"):
            session.commit()
        session.rollback()
        audit.record(session, event_type=kind, category="test", description="again")
        session.commit()
    assert [entry.description for entry in read(ground, place, kind)] == ["Something was done", "again"]
    assert audit.verify(slug) == []


def test_the_seeds_calls_as_they_stand(ground: Ground) -> None:
    place = SYNC_PLACES[0]
    audit, kind = ground.made(place), marked(place)
    with ground.session(place) as door:
        db, tenant_id = door.session, door.session.tenant.id
        audit.log_event(
            session=db,
            tenant_id=tenant_id,
            user_id=uuid.uuid4(),
            event_type=kind,
            event_category="integration",
            action_description="Created meeting note in HubSpot",
            status="success",
            resource_type="meeting_session",
            resource_id=uuid.uuid4(),
            ip_address="192.168.1.1",
            user_agent="Slack-Bot/1.0",
        )
        assert audit.get_tenant_logs(db, tenant_id=tenant_id, days=7, limit=100)[0].event_type == kind
        assert all(entry.status != "success" for entry in audit.get_recent_failures(db, tenant_id=tenant_id, hours=24))


def test_an_audit_made_too_late_is_refused(ground: Ground) -> None:
    with pytest.raises(errors.ConfigurationError, match="after its tenancy had opened"):
        Audit(ground.tenancy(SYNC_PLACES[0]), table="late_log")


def test_two_names_make_two_chains(tmp_path: Any) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    first, second = Audit(tenancy), Audit(tenancy, table="security_log")
    tenancy.install()
    tenancy.tenants.create("acme")
    with tenancy.transaction("acme") as session:
        for audit in (first, second, second):
            audit.record(session, event_type="a.b", category="c", description="d")
    with tenancy.session("acme") as session:
        assert [len(audit.entries(session)) for audit in (first, second)] == [1, 2]
    assert first.verify("acme") == second.verify("acme") == []
    tenancy.close()
