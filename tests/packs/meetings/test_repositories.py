"""The repositories of the meetings do what their names say, for one workspace, in every cell through every door."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest

from tenantry import TenantSession
from tenantry.errors import InvalidPage, UnknownField
from tenantry.packs.meetings import APIRateLimit, AuditLog, CRMConnection, MeetingSession, User

from .cells import Ground, Place, Room, connection_of, team_of

NOW = datetime.datetime.now(datetime.UTC)


def titles(meetings: Any) -> list[str | None]:
    return [meeting.title for meeting in meetings]


def days_ago(days: float) -> datetime.datetime:
    return NOW - datetime.timedelta(days=days)


@pytest.fixture
def many(room: Room) -> Room:
    """The same workspace with meetings of many days, one of them hidden."""

    def work(session: TenantSession) -> None:
        user = session.query(User).one()
        for days, title, status, sync in (
            (1, "Demo for Globex", "completed", "none"),
            (2, "100% of the budget", "completed", "failed"),
            (3, "Weekly", "completed", "synced"),
            (40, "Long ago", "completed", "none"),
        ):
            session.add(
                MeetingSession(
                    title=title,
                    processing_status=status,
                    crm_sync_status=sync,
                    user_id=user.id if days != 2 else None,
                    created_at=days_ago(days),
                    ai_summary=f"Summary of {title}",
                )
            )
        session.flush()
        session.query(MeetingSession).filter_by(title="Weekly").one().soft_delete()
        session.flush()

    room.run(work)
    return room


@pytest.mark.ledger("S1-062")
def test_the_workspace(room: Room) -> None:
    workspaces = room.repository("TenantRepository")
    own = workspaces.get_own()
    assert own.slack_team_id == team_of("acme", room.place)
    assert workspaces.get_by_slack_team_id(own.slack_team_id).id == own.id
    # The neighbour's name finds nothing, like a name that nobody has.
    assert workspaces.get_by_slack_team_id(team_of("rival", room.place)) is None
    assert workspaces.stats(now=NOW + datetime.timedelta(days=31))["meetings_this_month"] == 0


@pytest.mark.ledger("S1-062")
def test_users_by_their_names(room: Room) -> None:
    users = room.repository("UserRepository")
    assert users.get_by_slack_user_id("U1").slack_email == "ann@acme.example"
    assert users.get_by_slack_user_id("U2") is None
    assert users.get_by_email(" Ann@ACME.example ").slack_user_id == "U1"
    assert users.get_by_email("ann@rival.example") is None
    room.run(lambda session: session.add_all([User(slack_user_id="U2"), User(slack_user_id="U3", is_active=False)]))
    assert [user.slack_user_id for user in users.get_active()] == ["U1", "U2"]
    assert [user.slack_user_id for user in users.get_active(role="member")] == ["U2"]


@pytest.mark.ledger("S1-062")
def test_connections(room: Room) -> None:
    connections = room.repository("CRMConnectionRepository")
    first = connections.get_default()
    assert first.provider_type == "hubspot"

    def work(session: TenantSession) -> None:
        own = {"provider_type": "crono", "credentials_secret_id": "env:CRONO"}
        session.add(CRMConnection(**own, connection_name="late", token_expires_at=days_ago(-5)))
        session.add(CRMConnection(**own, connection_name="soon", token_expires_at=days_ago(-1)))
        session.add(CRMConnection(**own, connection_name="gone", token_expires_at=days_ago(-1), status="revoked"))

    room.run(work)
    assert [each.connection_name for each in connections.get_by_provider("crono")] == ["late", "soon", "gone"]
    assert connections.get_by_provider("salesforce") == []
    assert [each.connection_name for each in connections.get_expiring(days_ago(-9))] == ["soon", "late"]
    assert [each.connection_name for each in connections.get_expiring(days_ago(-2))] == ["soon"]


@pytest.mark.ledger("S1-036")
def test_meetings_latest_first_and_without_the_hidden(many: Room) -> None:
    meetings = many.repository("MeetingSessionRepository")
    assert titles(meetings.get_recent()) == ["Kick-off of acme", "Demo for Globex", "100% of the budget"]
    assert titles(meetings.get_recent(days=60, limit=2)) == ["Kick-off of acme", "Demo for Globex"]
    assert titles(meetings.get_recent(days=60))[-1] == "Long ago"
    with pytest.raises(InvalidPage):
        meetings.get_recent(limit=-1)
    user = many.run(lambda session: session.query(User).one())
    assert titles(meetings.get_user_sessions(user.id)) == ["Kick-off of acme", "Demo for Globex"]
    assert titles(meetings.get_user_sessions(user.id, limit=1, days=60)) == ["Kick-off of acme"]
    assert meetings.get_user_sessions(uuid.uuid4()) == []


@pytest.mark.ledger("S1-062")
def test_meetings_by_name_and_state(many: Room) -> None:
    meetings = many.repository("MeetingSessionRepository")
    assert meetings.get_by_fathom_id("f-1").title == "Kick-off of acme"
    assert meetings.get_by_fathom_id("f-2") is None
    assert titles(meetings.get_by_status("completed")) == ["Long ago", "100% of the budget", "Demo for Globex"]
    assert titles(meetings.get_by_status("completed", limit=1)) == ["Long ago"]
    assert titles(meetings.get_by_status("failed")) == []
    assert titles(meetings.get_unsynced()) == ["Long ago", "100% of the budget", "Demo for Globex"]


@pytest.mark.ledger("S1-062")
def test_search_takes_text_as_it_stands(many: Room) -> None:
    meetings = many.repository("MeetingSessionRepository")
    assert titles(meetings.search("GLOBEX")) == ["Demo for Globex"]
    assert titles(meetings.search("summary of 100%")) == ["100% of the budget"]
    assert titles(meetings.search("100_")) == []
    assert titles(meetings.search("' OR 1=1 --")) == []


@pytest.mark.ledger("S1-037")
def test_accounts_by_domain(room: Room) -> None:
    accounts, connection = room.repository("AccountMappingRepository"), room.run(connection_of)
    found = accounts.get_by_domain(connection.id, "Bo@GLOBEX.example")
    assert found.crm_account_id == "acme-globex"
    assert accounts.get_by_domain(connection.id, "globex.example").id == found.id
    assert accounts.get_by_domain(connection.id, "globex.example", verified_only=True) is None
    assert accounts.get_by_domain(uuid.uuid4(), "globex.example") is None
    assert accounts.get_by_domain(connection.id, "no address") is None
    accounts.create(crm_connection_id=connection.id, email_domain="x.example", crm_account_id="x", confidence=0.2)
    assert [each.email_domain for each in accounts.get_unverified()] == ["x.example", "globex.example"]
    assert [each.email_domain for each in accounts.get_unverified(limit=1)] == ["x.example"]


@pytest.mark.ledger("S1-062")
def test_what_was_done_and_how_far_limits_are_used(ground: Ground, room: Room) -> None:
    # First, since SQLite has one writer at a time.
    with ground.session(Place(room.place.cell, "sync"), "rival") as rival:
        theirs = connection_of(rival.session).id
    connection = room.run(connection_of)
    logs = room.repository("AuditLogRepository").get_by_resource("crm_connection", connection.id)
    # The newest first; what other tests did with it may stand before.
    assert logs[-1].event_type == "crm.connected"
    assert room.repository("AuditLogRepository").get_by_resource("crm_connection", theirs) == []

    def use(session: TenantSession) -> None:
        assert AuditLog.get_tenant_logs(session, session.tenant.id)
        for value in (3, 5):
            words = {"limit_period": "hourly", "limit_value": value}
            APIRateLimit.increment_usage(session, session.tenant.id, "exports", **words)

    room.run(use)
    (row,) = room.repository("APIRateLimitRepository").get_by_resource("exports")
    assert (row.current_count, row.limit_period, row.limit_value) == (2, "hourly", None)
    assert row.period_end - row.period_start == datetime.timedelta(hours=1)
    assert room.repository("APIRateLimitRepository").get_by_resource("imports") == []


@pytest.mark.ledger("S1-062")
def test_fields_that_no_meeting_has_are_refused(room: Room) -> None:
    with pytest.raises(UnknownField, match="no field 'colour'"):
        room.repository("MeetingSessionRepository").create(title="x", colour="red")
