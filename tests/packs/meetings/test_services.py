"""The steps of workspaces, connections, meetings and notes, in every cell through every door."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tenantry import Tenancy, TenantSession
from tenantry.errors import (
    ConfigurationError,
    CRMConnectionMissing,
    IllegalStep,
    InvalidDomain,
    QuotaExceeded,
    RateLimited,
    RecordNotFound,
    SecretRefused,
    SubscriptionInactive,
)
from tenantry.fleet import Fleet
from tenantry.outbox import Relay
from tenantry.packs.meetings import (
    PLANS,
    AuditLog,
    CRMConnection,
    Findings,
    Meetings,
    MeetingsBase,
    MeetingSession,
    Tenant,
    User,
)

from .cells import CELLS, SYNC_PLACES, Ground, Place, Room, connection_of, team_of

# Tests that commit need a tenant of their own, and those that have a database of their own take their time.
COMMITTED = [
    place if place.cell in ("postgresql-rows", "sqlite-file") else pytest.param(place, marks=pytest.mark.soak)
    for place in SYNC_PLACES
]
FINDINGS = Findings(
    ai_summary="They want a demo.",
    action_items=["send offer"],
    key_points=["budget is there"],
    sentiment="positive",
    ai_model="m-1",
    provider="house",
    prompt_tokens=120,
    completion_tokens=30,
)


def the_meeting(room: Room) -> MeetingSession:
    return room.run(lambda session: session.query(MeetingSession).one())


@contextlib.contextmanager
def fresh(ground: Ground, place: Place, **more: Any) -> Iterator[Any]:
    """Lends a workspace of this test alone, since what it does is committed."""
    pack, team = ground.pack(place), f"T{uuid.uuid4().hex[:12]}".upper()
    tenant = pack.workspaces.install(team, "Fresh", isolation=CELLS[place.cell], **more)
    try:
        yield tenant
    finally:
        pack.tenancy.tenants.erase(tenant, confirm=tenant.slug)


@pytest.mark.ledger("S1-019", "S1-M04")
def test_a_meeting_goes_from_its_recording_to_its_findings(room: Room) -> None:
    processing, meeting = room.service("processing"), the_meeting(room)
    processing.start(meeting.id)
    assert meeting.processing_status == "processing"
    done = processing.complete(meeting.id, FINDINGS)
    assert (done.processing_status, done.tokens_used, done.sentiment) == ("completed", 150, "positive")
    assert done.processed_at is not None
    assert (done.ai_summary, done.action_items, done.key_points) == (
        "They want a demo.",
        ["send offer"],
        ["budget is there"],
    )

    def used(session: TenantSession) -> Any:
        return room.pack.usage.total(session, user_id=meeting.user_id).total_tokens

    assert room.run(used) == 150
    for step in (processing.start, processing.retry, lambda key: processing.fail(key, "late")):
        with pytest.raises(IllegalStep):
            step(meeting.id)


@pytest.mark.ledger("S1-019")
def test_a_meeting_that_failed_says_why_and_is_tried_again(room: Room) -> None:
    processing, meeting = room.service("processing"), the_meeting(room)
    processing.start(meeting.id)
    assert processing.fail(meeting.id, "no transcript").processing_error == "no transcript"
    with pytest.raises(IllegalStep):
        processing.complete(meeting.id, FINDINGS)
    processing.retry(meeting.id)
    assert processing.start(meeting.id).processing_error is None


@pytest.mark.ledger("S1-019")
def test_fathom_may_tell_of_a_meeting_twice(room: Room) -> None:
    processing, known = room.service("processing"), the_meeting(room)
    assert processing.receive({"fathom_meeting_id": "f-1", "title": "other"}).id == known.id
    assert processing.receive(fathom_meeting_id="f-2").id != known.id


@pytest.mark.ledger("S1-019")
def test_of_two_who_tell_at_once_one_makes_the_meeting(ground: Ground) -> None:
    place = Place("postgresql-rows", "sync")
    processing, told = ground.pack(place).processing, threading.Barrier(2, timeout=30)
    with fresh(ground, place) as tenant:

        def tell(_: int) -> uuid.UUID:
            with ground.tenancy(place).transaction(tenant) as session:
                session.query(MeetingSession).count()
                told.wait()
                return processing.receive(session, fathom_meeting_id="f-9").id

        with ThreadPoolExecutor(2) as pool:
            made = set(pool.map(tell, range(2)))
        assert len(made) == 1


@pytest.mark.ledger("S1-019")
def test_a_meeting_of_a_user_who_is_not_there(room: Room) -> None:
    with pytest.raises(IntegrityError):
        room.service("processing").receive(fathom_meeting_id="f-8", user_id=uuid.uuid4())


@pytest.mark.ledger("S1-019")
def test_what_is_elsewhere_is_not_found(ground: Ground, room: Room) -> None:
    with ground.session(room.place, "rival") as rival:
        theirs = the_meeting(rival).id
    for key in (theirs, uuid.uuid4()):
        with pytest.raises(RecordNotFound):
            room.service("processing").start(key)


@pytest.mark.ledger("S1-019")
def test_without_a_subscription_nothing_is_processed(room: Room) -> None:
    workspaces, meeting = room.service("workspaces"), the_meeting(room)
    workspaces.change_subscription("suspended")
    with pytest.raises(SubscriptionInactive, match="suspended"):
        room.service("processing").start(meeting.id)
    with pytest.raises(IllegalStep):
        workspaces.change_subscription("trialing")
    workspaces.change_subscription("active")
    room.service("processing").start(meeting.id)


@pytest.mark.ledger("S1-019")
@pytest.mark.parametrize("place", COMMITTED, ids=str)
def test_a_plan_allows_so_many_meetings_a_day(ground: Ground, place: Place) -> None:
    with fresh(ground, place) as tenant:
        processing, tenancy = ground.pack(place).processing, ground.tenancy(place)
        with tenancy.transaction(tenant) as session:
            for _ in range(PLANS["free"].meetings_a_day):
                processing.start(session, processing.receive(session).id)
        with tenancy.session(tenant) as session:
            with pytest.raises(RateLimited):
                processing.start(session, processing.receive(session).id)
            session.rollback()
            ground.pack(place).workspaces.change_plan(session, "pro")
            processing.start(session, processing.receive(session).id)


@pytest.mark.ledger("S1-019")
@pytest.mark.parametrize("place", COMMITTED, ids=str)
def test_a_plan_has_so_many_seats_and_connections(ground: Ground, place: Place) -> None:
    with fresh(ground, place) as tenant:
        pack, tenancy = ground.pack(place), ground.tenancy(place)
        with tenancy.session(tenant) as session:
            for number in range((PLANS["free"].users or 0) + 1):
                pack.workspaces.add_user(session, f"U{number}")
            with pytest.raises(QuotaExceeded, match="users"):
                session.commit()
        with tenancy.transaction(tenant) as session:
            pack.workspaces.change_plan(session, "enterprise")
            for number in range((PLANS["free"].users or 0) + 1):
                pack.workspaces.add_user(session, f"U{number}")
        assert pack.prepare().failed == {}


@pytest.mark.ledger("S1-019")
def test_a_workspace_is_installed_once(ground: Ground, place: Place) -> None:
    pack, team = ground.pack(place), team_of("acme", place)
    again = pack.workspaces.install(team, "Another name", plan_tier="free")
    assert again.slug == f"acme-{place.cell}"
    with pack.tenancy.session(again) as session:
        workspace = session.query(Tenant).one()
        assert (workspace.slack_team_name, workspace.plan_tier) == ("Acme", "pro")
        assert len(pack.audit.entries(session, event_type="workspace.installed")) == 1
    if place.door != "sync":
        assert ground.runner.run(pack.aio.workspaces.install(team, "Another name")) == again


@pytest.mark.ledger("S1-019")
def test_a_workspace_may_have_to_wait_for_its_place(ground: Ground) -> None:
    owner = ground.pack(Place("postgresql-schema", "sync"))
    # A login that may make no schema.
    pack, team = Meetings(Tenancy(ground.urls["app_url"], models=MeetingsBase)), f"T{uuid.uuid4().hex[:12]}".upper()
    waiting = pack.workspaces.install(team, "Waiting", isolation="schema", plan_tier="free")
    assert waiting.status == "provisioning"
    assert pack.workspaces.install(team, "Waiting").id == waiting.id
    assert Fleet(owner.tenancy).finish_waiting() == [waiting.slug]
    assert pack.workspaces.install(team, "Waiting", plan_tier="free").status == "active"
    with pack.tenancy.session(waiting.id) as session:
        assert session.query(Tenant).one().slack_team_id == team
    limits = {usage.name: usage.limit for usage in owner.quotas.usage(waiting.id)}
    assert limits == {"users": 5, "crm_connections": 1}
    pack.tenancy.close()
    owner.tenancy.tenants.erase(waiting.id, confirm=waiting.slug)


@pytest.mark.ledger("S1-019")
def test_the_audit_needs_the_meetings_of_the_tenancy(tmp_path: Path) -> None:
    # The models of a process know the behaviours' tables from the first meetings on, whosesoever.
    Meetings(Tenancy(f"sqlite:///{tmp_path / 'other'}", models=MeetingsBase)).tenancy.close()
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=MeetingsBase)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme", record={"slack_team_id": "T1", "slack_team_name": "Acme"})
    with tenancy.session("acme") as session, pytest.raises(ConfigurationError, match="Meetings"):
        AuditLog.get_tenant_logs(session, session.tenant.id)
    # Nothing has to hold them but the tenancy.
    Meetings(tenancy)
    with tenancy.session("acme") as session:
        assert AuditLog.get_tenant_logs(session, session.tenant.id) == []
    tenancy.close()


@pytest.mark.ledger("S1-019")
def test_plans_change_on_the_record(room: Room) -> None:
    workspaces = room.service("workspaces")
    assert workspaces.change_plan("enterprise").plan_tier == "enterprise"
    with pytest.raises(ValueError, match="gold"):
        workspaces.change_plan("gold")
    assert newest(room).event_type == "workspace.plan_changed"
    assert newest(room).changes == {"plan_tier": ["pro", "enterprise"]}


@pytest.mark.ledger("S1-019")
def test_users_come_and_go_and_come_back(room: Room) -> None:
    workspaces = room.service("workspaces")
    user = workspaces.add_user("U7", slack_email="bo@acme.example")
    workspaces.remove_user(user.id)
    with pytest.raises(RecordNotFound):
        workspaces.remove_user(user.id)
    again = workspaces.add_user("U7", role="viewer")
    assert (again.id, again.role, again.slack_email) == (user.id, "viewer", "bo@acme.example")


@pytest.mark.ledger("S1-027", "S1-045")
def test_there_is_one_default_connection(room: Room) -> None:
    connections, first = room.service("connections"), room.run(connection_of)
    assert first.is_default
    second = connections.connect("salesforce", "file:/run/secrets/sf", is_default=True)
    assert default(room).id == second.id
    connections.set_default(first.id)
    assert default(room).id == first.id
    connections.disconnect(first.id)
    assert default(room) is None
    third = connections.connect("crono", "env:CRONO")
    assert default(room).id == third.id
    assert newest(room).event_type == "crm.connected"


@pytest.mark.ledger("S1-019")
def test_a_connection_breaks_and_is_mended_until_it_is_revoked(room: Room) -> None:
    connections, connection = room.service("connections"), room.run(connection_of)
    assert connections.mark(connection.id, "error", error="401").last_error == "401"
    assert newest(room).status == "failure"
    assert connections.mark(connection.id, "active").last_error is None
    connections.mark(connection.id, "revoked")
    with pytest.raises(IllegalStep):
        connections.mark(connection.id, "active")
    with pytest.raises(SecretRefused):
        connections.connect("crono", "the password itself")


@pytest.mark.ledger("S1-037", "S1-M05")
def test_accounts_are_found_by_address_learnt_and_confirmed(room: Room) -> None:
    accounts = room.service("accounts")
    found = accounts.find("Bo@GLOBEX.example")
    assert (found.crm_account_id, found.use_count) == ("acme-globex", 1)
    assert accounts.find("bo@globex.example", verified_only=True) is None
    for stranger in ("bo@nowhere.example", "no address", "bo@"):
        assert accounts.find(stranger) is None
    assert accounts.learn("cy@Globex.example", "new-id", confidence=0.5).crm_account_id == "new-id"
    confirmed = accounts.verify(found.id)
    assert (confirmed.is_verified, confirmed.confidence) == (True, 1.0)
    assert accounts.learn("cy@globex.example", "guess").crm_account_id == "new-id"
    assert accounts.find("bo@globex.example", verified_only=True).use_count == 2
    with pytest.raises(InvalidDomain):
        accounts.learn("nobody", "x")
    room.service("connections").disconnect(room.run(connection_of).id)
    assert accounts.find("bo@globex.example") is None
    with pytest.raises(CRMConnectionMissing):
        accounts.learn("bo@globex.example", "x")


@pytest.mark.ledger("S1-019")
def test_a_note_needs_findings_and_a_connection_that_works(room: Room) -> None:
    processing, meeting = room.service("processing"), the_meeting(room)
    with pytest.raises(RecordNotFound):
        processing.hand_over(meeting.id)
    processing.start(meeting.id)
    processing.complete(meeting.id, FINDINGS)
    connection = room.run(connection_of)
    room.service("connections").mark(connection.id, "expired")
    for chosen in (None, connection.id):
        with pytest.raises(CRMConnectionMissing):
            processing.hand_over(meeting.id, crm_connection_id=chosen)
    room.service("connections").mark(connection.id, "active")
    assert processing.hand_over(meeting.id).crm_sync_status == "pending"
    with pytest.raises(IllegalStep):
        processing.hand_over(meeting.id)


@pytest.mark.ledger("S1-018", "S1-M03")
@pytest.mark.parametrize("place", COMMITTED, ids=str)
def test_notes_reach_the_crm_after_the_commit_and_after_a_failure(
    ground: Ground, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = uuid.uuid4().hex
    monkeypatch.setenv("MEETINGS_TEST_TOKEN", secret)
    with fresh(ground, place, plan_tier="pro") as tenant:
        pack, tenancy, relay = ground.pack(place), ground.tenancy(place), Relay(ground.pack(place).outbox, attempts=1)
        with tenancy.transaction(tenant) as session:
            pack.connections.connect(session, "hubspot", "env:MEETINGS_TEST_TOKEN")
            meeting = pack.processing.receive(session, title="Kick-off", crm_account_id="a-1")
            pack.processing.start(session, meeting.id)
            pack.processing.complete(session, meeting.id, FINDINGS)
            pack.processing.hand_over(session, meeting.id)
        ground.book.refusing.append(RuntimeError(f"401 for https://crm.example/notes?key={secret}"))
        assert relay.deliver(tenant).parked == 1
        with tenancy.transaction(tenant) as session:
            failed = session.get_one(MeetingSession, meeting.id)
            assert (failed.crm_sync_status, failed.crm_note_id) == ("failed", None)
            assert failed.crm_connection.last_error == "RuntimeError: 401 for https://crm.example/notes?key=…"
            (parked,) = pack.outbox.parked(session)
            assert "hubspot took no note: RuntimeError: 401" in str(parked)
            assert secret not in str(parked)
            assert AuditLog.get_recent_failures(session, tenant.id)[0].event_type == "crm.note.failed"
            pack.outbox.retry(session, pack.outbox.parked(session)[0].id)
        assert relay.deliver(tenant).delivered == 1
        with tenancy.session(tenant) as session:
            synced = session.get_one(MeetingSession, meeting.id)
            assert (synced.crm_sync_status, synced.crm_connection.last_error) == ("synced", None)
            assert synced.crm_synced_at is not None
            logged = session.scalars(select(AuditLog)).all()
        assert "crm.note.created" in {log.event_type for log in logged}
        assert not [log for log in logged if secret in str(log.to_dict())]
    note = ground.book.notes[-1]
    assert synced.crm_note_id == f"note-{len(ground.book.notes)}"
    assert (note.title, note.body, note.account_id) == ("Kick-off", "They want a demo.", "a-1")
    assert note.credentials.reveal() == secret
    assert secret not in repr(note)


@pytest.mark.ledger("S1-018")
@pytest.mark.parametrize("place", COMMITTED, ids=str)
def test_by_a_revoked_connection_goes_no_note(ground: Ground, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEETINGS_TEST_TOKEN", uuid.uuid4().hex)
    with fresh(ground, place, plan_tier="pro") as tenant:
        pack, tenancy, before = ground.pack(place), ground.tenancy(place), len(ground.book.notes)
        with tenancy.transaction(tenant) as session:
            connection = pack.connections.connect(session, "hubspot", "env:MEETINGS_TEST_TOKEN")
            meeting = pack.processing.receive(session, title="Kick-off")
            pack.processing.start(session, meeting.id)
            pack.processing.complete(session, meeting.id, FINDINGS)
            pack.processing.hand_over(session, meeting.id)
            pack.connections.mark(session, connection.id, "revoked")
        assert Relay(pack.outbox).deliver(tenant).delivered == 1
    assert len(ground.book.notes) == before


def default(room: Room) -> CRMConnection | None:
    return room.run(lambda session: session.query(Tenant).one().get_default_crm_connection(session))


def newest(room: Room) -> AuditLog:
    def work(session: TenantSession) -> AuditLog:
        return AuditLog.get_tenant_logs(session, session.tenant.id, days=1, limit=1)[0]

    return room.run(work)


@pytest.mark.ledger("S1-019")
def test_users_of_one_workspace_alone_are_counted(room: Room) -> None:
    stats = room.repository("TenantRepository").stats()
    assert stats == {
        "users": 1,
        "crm_connections": 1,
        "meetings_total": 1,
        "meetings_this_month": 1,
        "account_mappings": 1,
    }
    room.run(lambda session: session.query(User).one().soft_delete())
    assert room.repository("TenantRepository").stats()["users"] == 0
