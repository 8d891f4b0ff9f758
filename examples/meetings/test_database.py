"""Tries the database that DATABASE_URL names, or without it one of its own; leaves nothing behind."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dotenv import load_dotenv

from tenantry import Config, Tenancy
from tenantry.embedded import PostgresServer
from tenantry.errors import CrossTenant
from tenantry.fleet import Fleet
from tenantry.packs.meetings import (
    MIGRATIONS,
    AccountMapping,
    APIRateLimit,
    AuditLog,
    CRMConnection,
    Meetings,
    MeetingsBase,
    MeetingSession,
    Tenant,
    User,
    check_connection,
    door,
    get_db,
)
from tenantry.settings import config_from_env, login_urls_from_env
from tenantry.types import Tenant as Workspace


@contextmanager
def opened() -> Iterator[Meetings]:
    """Opens the database under test."""
    load_dotenv()
    url = os.environ.get("DATABASE_URL")
    if url:
        yield Meetings(Tenancy(url, models=MeetingsBase, config=config_from_env(), **login_urls_from_env()))
        return
    with PostgresServer() as server:
        yield Meetings(Tenancy(server.url("meetings"), models=MeetingsBase, config=Config(demote=True)))


def connection(_: Workspace, __: Workspace) -> None:
    """The database answers."""
    assert check_connection()


def tables(one: Workspace, _: Workspace) -> None:
    """The migrations have made every table."""
    with get_db(one) as db:
        for model in (Tenant, User, CRMConnection, MeetingSession, AccountMapping, AuditLog, APIRateLimit):
            db.query(model).count()


def rows_of_all_models(one: Workspace, _: Workspace) -> None:
    """Rows are created, read, changed and deleted."""
    with get_db(one) as db:
        user = User(slack_user_id="U1")
        crm = CRMConnection(provider_type="hubspot", credentials_secret_id="env:TOKEN", connected_by_user_id=user.id)
        mapping = AccountMapping(crm_connection_id=crm.id, email_domain="client.com", crm_account_id="1")
        meeting = MeetingSession(user_id=user.id, crm_connection_id=crm.id)
        db.add_all([user, crm, mapping, meeting])
        db.flush()
        meeting.title = "Kick-off"
    with get_db(one) as db:
        assert db.get_one(MeetingSession, meeting.id).title == "Kick-off"
        assert AccountMapping.get_by_domain(db, one.id, crm.id, "ann@CLIENT.com") is not None
        db.delete(db.get_one(AccountMapping, mapping.id))
        db.flush()
        assert AccountMapping.get_by_domain(db, one.id, crm.id, "client.com") is None


def relationships(one: Workspace, _: Workspace) -> None:
    """What hangs on a workspace is found through it."""
    with get_db(one) as db:
        tenant = db.query(Tenant).one()
        assert [user.slack_user_id for user in tenant.users] == ["U1"]
        assert tenant.crm_connections[0].connected_by is tenant.users[0]
        assert tenant.meeting_sessions[0].crm_connection is tenant.crm_connections[0]


def isolation(one: Workspace, other: Workspace) -> None:
    """No workspace sees another's rows, and none is written there."""
    with get_db(one) as db:
        theirs = db.query(User).one()
    with get_db(other) as db:
        assert db.query(User).count() == 0
        assert db.get(User, theirs.id) is None
        try:
            db.add(theirs)
        except CrossTenant:
            return
    raise AssertionError("another workspace's row was taken")


def soft_delete(one: Workspace, _: Workspace) -> None:
    """A deleted row is marked, hidden, and brought back."""
    with get_db(one) as db:
        user = db.query(User).one()
        user.soft_delete()
        db.flush()
        assert db.query(User).count() == 0
        user.restore()
        db.flush()
        assert db.query(User).count() == 1


def rate_limits(one: Workspace, _: Workspace) -> None:
    """So many are granted, and no more."""
    granted = []
    for _attempt in range(4):
        with get_db() as db:
            words = {"resource_type": "meetings_processed", "limit_period": "daily", "limit_value": 3}
            granted.append(APIRateLimit.increment_usage(db, one.id, **words)[0])
    assert granted == [True, True, True, False]


def audit(one: Workspace, _: Workspace) -> None:
    """What is done stands in the audit, in a chain that holds."""
    with get_db() as db:
        event = {"event_type": "crm.note.created", "event_category": "integration", "action_description": "Noted"}
        AuditLog.log_event(db, one.id, **event)
    with get_db() as db:
        assert AuditLog.get_tenant_logs(db, one.id)[0].event_type == "crm.note.created"
        assert AuditLog.get_recent_failures(db, one.id) == []
    assert door.pack.audit.verify(one.id) == []


CHECKS: tuple[Callable[[Workspace, Workspace], None], ...] = (
    connection,
    tables,
    rows_of_all_models,
    relationships,
    isolation,
    soft_delete,
    rate_limits,
    audit,
)


def main() -> None:
    """Runs every check on two workspaces that are erased afterwards."""
    with opened() as meetings:
        tenancy = meetings.tenancy
        tenancy.lend_migrations(MIGRATIONS)
        tenancy.install()
        Fleet(tenancy).upgrade()
        door.use(tenancy, meetings)
        names = [f"TTEST{uuid.uuid4().hex[:12]}".upper() for _ in range(2)]
        one, other = (meetings.workspaces.install(name, "Test Workspace") for name in names)
        try:
            for check in CHECKS:
                check(one, other)
                print(f"✓ {check.__doc__}")
        finally:
            for tenant in (one, other):
                tenancy.tenants.erase(tenant, confirm=tenant.slug)
            door.reset()
            tenancy.close()
    print("✓ All tests passed!")


if __name__ == "__main__":
    sys.exit(main())
