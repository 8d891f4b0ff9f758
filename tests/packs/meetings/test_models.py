"""The meetings' tables: columns, defaults, references and constraints, alike in every cell."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table, func, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from tenantry import TenantSession
from tenantry.errors import AppendOnlyViolation, CrossTenant, IllegalStep, SecretRefused
from tenantry.models import lint
from tenantry.packs.meetings import (
    AccountMapping,
    APIRateLimit,
    AuditLog,
    CRMConnection,
    MeetingsBase,
    MeetingSession,
    Tenant,
    User,
    normalise_domain,
)

from .cells import SYNC_PLACES, Ground, Place, Room, connection_of

# What the seed and its annex name, by class.
COLUMNS = {
    Tenant: "id tenant_id slack_team_id slack_team_name plan_tier subscription_status slack_domain slack_enterprise_id "
    "bot_token_secret_id trial_ends_at subscription_ends_at settings is_active installed_by_slack_user_id created_at "
    "updated_at deleted_at",
    User: "id tenant_id slack_user_id slack_email role preferences slack_display_name timezone is_active "
    "last_active_at created_at updated_at deleted_at",
    CRMConnection: "id tenant_id provider_type credentials_secret_id connected_by_user_id is_default connection_name "
    "external_account_id status last_sync_at last_error token_expires_at settings created_at updated_at deleted_at",
    MeetingSession: "id tenant_id user_id crm_connection_id processing_status fathom_meeting_id title meeting_url "
    "recording_url started_at ended_at duration_seconds participants transcript_ref ai_summary action_items key_points "
    "sentiment ai_model tokens_used processing_error processed_at crm_account_id crm_account_name crm_note_id "
    "crm_deal_id crm_sync_status crm_synced_at slack_channel_id slack_message_ts created_at updated_at deleted_at",
    AccountMapping: "id tenant_id crm_connection_id email_domain is_verified crm_account_id crm_account_name "
    "confidence source verified_by_user_id verified_at use_count last_used_at created_at updated_at deleted_at",
    AuditLog: "id tenant_id user_id event_type event_category action_description status resource_type resource_id "
    "created_at changes correlation_id prev_hash hash",
    APIRateLimit: "tenant_id resource_type",
}
TABLES = {
    "tenants": Tenant,
    "users": User,
    "crm_connections": CRMConnection,
    "meeting_sessions": MeetingSession,
    "account_mappings": AccountMapping,
    "audit_logs": AuditLog,
    "api_rate_limits": APIRateLimit,
}


@pytest.fixture(params=SYNC_PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    """Tables are the same through every door."""
    return request.param


def count(session: TenantSession, model: Any) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.ledger("S1-001")
def test_the_linter_finds_nothing() -> None:
    assert lint(MeetingsBase.metadata) == []


@pytest.mark.ledger("S1-001", "S1-M01", "S1-M02", "S1-M03", "S1-M04")
@pytest.mark.parametrize("model", COLUMNS, ids=lambda model: model.__name__)
def test_each_class_has_the_columns_that_were_asked_for(model: Any) -> None:
    assert set(COLUMNS[model].split()) <= set(inspect(model).column_attrs.keys())


@pytest.mark.ledger("S1-016", "S1-017", "S1-018", "S1-019", "S1-020")
def test_each_table_is_mapped_and_begins_with_the_tenant() -> None:
    for name, model in TABLES.items():
        assert inspect(model).local_table.name == name
    for table in MeetingsBase.metadata.sorted_tables:
        indexes = [[column.name for column in index.columns] for index in table.indexes]
        assert all(names[0] == "tenant_id" for names in [*indexes, [column.name for column in table.primary_key]])


@pytest.mark.ledger("S1-049", "S1-050", "S1-051", "S1-052")
def test_what_is_looked_up_is_indexed() -> None:
    leading = {table.name: {_after_tenant(index) for index in table.indexes} for table in _tables()}
    for table in _tables():
        for key in table.foreign_keys:
            if key.parent.name != "tenant_id":
                assert key.parent.name in leading[table.name], (table.name, key.parent.name)
    assert "slack_team_id" in leading["tenants"]
    assert "slack_user_id" in leading["users"]
    assert "email_domain" in leading["account_mappings"]
    assert "subscription_status" in leading["tenants"]
    assert "processing_status" in leading["meeting_sessions"]
    partial = {index.name for table in _tables() for index in table.indexes if _is_partial(index)}
    assert {"ix_tenants_live", "ix_meeting_sessions_live", "ix_account_mappings_verified"} <= partial


@pytest.mark.ledger("S1-023", "S1-028")
def test_relationships_lead_to_what_hangs_on_a_workspace(room: Room) -> None:
    def work(session: TenantSession) -> None:
        tenant, user = session.query(Tenant).one(), session.query(User).one()
        (connection,), (mapping,), (meeting,) = tenant.crm_connections, tenant.account_mappings, tenant.meeting_sessions
        assert tenant.users == [user]
        assert user.crm_connections == [connection]
        assert (connection.connected_by, connection.created_by) == (user, user.id)
        assert connection.account_mappings == [mapping]
        assert (meeting.user, meeting.crm_connection, meeting.tenant) == (user, None, tenant)
        assert {log.event_type for log in tenant.audit_logs} >= {"workspace.installed", "crm.connected"}

    room.run(work)


@pytest.mark.ledger("S1-012", "S1-030")
def test_ids_are_there_before_the_flush_and_gone_with_a_rollback(room: Room) -> None:
    def work(session: TenantSession) -> None:
        user = User(slack_user_id="U9")
        session.add(user)
        assert isinstance(user.id, uuid.UUID)
        session.flush()
        assert count(session, User) == 2
        session.rollback()
        assert count(session, User) == 1

    room.run(work)


@pytest.mark.ledger("S1-029")
def test_a_row_that_names_its_parents_is_in_their_collections(room: Room) -> None:
    def work(session: TenantSession) -> None:
        tenant, connection = session.query(Tenant).one(), connection_of(session)
        assert len(tenant.users) == len(tenant.crm_connections) == 1
        user = User(tenant_id=tenant.id, slack_user_id="U9")
        session.add(user)
        other = CRMConnection(
            tenant_id=tenant.id,
            provider_type="crono",
            credentials_secret_id="env:OTHER_TOKEN",
            connected_by_user_id=user.id,
        )
        session.add(other)
        # Nothing was sent yet.
        assert user in tenant.users
        assert other in tenant.crm_connections
        mapping = AccountMapping(crm_connection_id=connection.id, email_domain="x.example", crm_account_id="1")
        session.add(mapping)
        assert mapping in connection.account_mappings
        session.flush()
        session.expire_all()
        assert user in tenant.users
        assert other.connected_by is user

    room.run(work)


@pytest.mark.ledger("S1-001")
def test_defaults(room: Room) -> None:
    def work(session: TenantSession) -> None:
        meeting, user = MeetingSession(), User(slack_user_id="U9")
        session.add_all([meeting, user])
        session.flush()
        assert (meeting.processing_status, meeting.crm_sync_status, meeting.tokens_used) == ("pending", "none", 0)
        assert (meeting.participants, meeting.action_items, meeting.key_points) == ([], [], [])
        assert (user.role, user.preferences, user.timezone, user.is_active) == ("member", {}, "UTC", True)
        assert meeting.created_at.utcoffset() == datetime.timedelta(0)
        tenant = session.query(Tenant).one()
        assert (tenant.subscription_status, tenant.settings, tenant.is_active) == ("active", {}, True)

    room.run(work)


def account(connection: uuid.UUID, domain: str, **more: Any) -> AccountMapping:
    return AccountMapping(crm_connection_id=connection, email_domain=domain, crm_account_id="2", **more)


REFUSED: dict[str, Callable[[CRMConnection], Any]] = {
    "role": lambda _: User(slack_user_id="U9", role="owner"),
    "user taken": lambda _: User(slack_user_id="U1"),
    "user missing": lambda _: User(slack_user_id=None),
    "meeting taken": lambda _: MeetingSession(fathom_meeting_id="f-1"),
    "user unknown": lambda _: MeetingSession(user_id=uuid.uuid4()),
    "sentiment": lambda _: MeetingSession(sentiment="furious"),
    "tokens": lambda _: MeetingSession(tokens_used=-1),
    "provider": lambda it: CRMConnection(provider_type="siebel", credentials_secret_id="env:A"),
    "second default": lambda it: CRMConnection(provider_type="crono", credentials_secret_id="env:A", is_default=True),
    "domain taken in another case": lambda it: AccountMapping(
        crm_connection_id=it.id, email_domain="GLOBEX.example", crm_account_id="2"
    ),
    "confidence": lambda it: AccountMapping(
        crm_connection_id=it.id, email_domain="a.example", crm_account_id="2", confidence=2
    ),
    "connection unknown": lambda it: AccountMapping(
        crm_connection_id=uuid.uuid4(), email_domain="a.example", crm_account_id="2"
    ),
}


@pytest.mark.ledger("S1-001")
def test_what_no_row_may_hold(room: Room) -> None:
    def work(session: TenantSession) -> None:
        connection = connection_of(session)
        for row in REFUSED.values():
            with pytest.raises(IntegrityError), session.begin_nested():
                session.add(row(connection))

    room.run(work)


@pytest.mark.ledger("S1-043")
def test_credentials_are_references_and_nothing_else(room: Room) -> None:
    def work(session: TenantSession) -> None:
        session.add(CRMConnection(provider_type="crono", credentials_secret_id="arn:aws:secretsmanager:eu:1:secret:x"))
        session.flush()
        session.add(CRMConnection(provider_type="crono", credentials_secret_id="hunter2hunter2"))
        with pytest.raises(SecretRefused) as refused:
            session.flush()
        assert "hunter2" not in str(refused.value)

    room.run(work)


@pytest.mark.ledger("S1-026", "S1-039")
def test_a_deleted_workspace_is_marked_with_all_that_is_its_own_and_comes_back(room: Room) -> None:
    def work(session: TenantSession) -> None:
        tenant = session.query(Tenant).one()
        tenant.soft_delete()
        session.flush()
        assert tenant.deleted_at is not None
        assert [count(session, model) for model in (Tenant, User, CRMConnection, MeetingSession)] == [0, 0, 0, 0]
        hidden = select(func.count()).select_from(User)
        assert session.scalar(hidden, execution_options={"include_deleted": True}) == 1
        tenant.restore()
        session.flush()
        assert [count(session, model) for model in (Tenant, User, CRMConnection, MeetingSession)] == [1, 1, 1, 1]

    room.run(work)


@pytest.mark.ledger("S1-001")
def test_who_left_makes_room_for_another_with_the_same_name(room: Room) -> None:
    def work(session: TenantSession) -> None:
        session.query(User).one().soft_delete()
        session.flush()
        session.add(User(slack_user_id="U1"))
        session.flush()
        assert count(session, User) == 1

    room.run(work)


@pytest.mark.ledger("S1-001")
def test_a_workspace_takes_everything_along_and_the_hidden_too(room: Room) -> None:
    def work(session: TenantSession) -> None:
        session.query(MeetingSession).one().soft_delete()
        session.flush()
        session.delete(session.query(Tenant).one())
        session.flush()
        seen = {"include_deleted": True}
        for model in (User, CRMConnection, AccountMapping, MeetingSession):
            assert session.scalar(select(func.count()).select_from(model), execution_options=seen) == 0

    room.run(work)


@pytest.mark.ledger("S1-001")
def test_a_meeting_outlives_its_user_and_its_connection(room: Room) -> None:
    def work(session: TenantSession) -> None:
        meeting, user, connection = (
            session.query(MeetingSession).one(),
            session.query(User).one(),
            connection_of(session),
        )
        meeting.crm_connection_id = connection.id
        session.flush()
        session.delete(connection)
        session.delete(user)
        session.flush()
        session.refresh(meeting)
        assert (meeting.user_id, meeting.crm_connection_id) == (None, None)
        assert count(session, AccountMapping) == 0

    room.run(work)


@pytest.mark.ledger("S1-001")
def test_the_neighbour_has_the_same_people_and_its_own_rows(ground: Ground, room: Room) -> None:
    with ground.session(room.place, "rival") as rival:
        theirs = rival.run(lambda session: session.query(User).one())

    def work(session: TenantSession) -> None:
        mine = session.query(User).one()
        assert mine.slack_user_id == theirs.slack_user_id
        assert mine.id != theirs.id
        assert session.get(User, theirs.id) is None
        with pytest.raises(CrossTenant):
            session.add(theirs)
        session.add(MeetingSession(user_id=theirs.id))
        with pytest.raises(IntegrityError):
            session.flush()

    room.run(work)


@pytest.mark.ledger("S1-021", "S1-M06")
def test_nobody_changes_what_the_audit_says(room: Room) -> None:
    def work(session: TenantSession) -> None:
        log = session.query(AuditLog).first()
        assert log is not None
        with pytest.raises((AppendOnlyViolation, DBAPIError)):
            session.query(AuditLog).update({"status": "changed"})
        session.rollback()
        log = session.query(AuditLog).first()
        session.delete(log)
        with pytest.raises((AppendOnlyViolation, DBAPIError)):
            session.flush()

    room.run(work)


@pytest.mark.ledger("S1-001")
def test_a_step_that_may_not_follow_is_refused_at_the_assignment(room: Room) -> None:
    def work(session: TenantSession) -> None:
        meeting = session.query(MeetingSession).one()
        with pytest.raises(IllegalStep, match="What may follow: failed, processing"):
            meeting.processing_status = "completed"

    room.run(work)


@pytest.mark.ledger("S1-001")
@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Ann@Example.COM", "example.com"),
        ("example.com", "example.com"),
        (" a@sub.example.com. ", "sub.example.com"),
        ("nobody", None),
        ("a@", None),
        ("", None),
        ("a@b..example", None),
        ("@", None),
    ],
)
def test_domains_of_addresses(text: str, domain: str | None) -> None:
    assert normalise_domain(text) == domain


def _tables() -> list[Table]:
    return [inspect(model).local_table for model in TABLES.values()]


def _after_tenant(index: Any) -> str:
    return str([column.name for column in index.columns][1])


def _is_partial(index: Any) -> bool:
    return all(index.dialect_options[name]["where"] is not None for name in ("postgresql", "sqlite"))
