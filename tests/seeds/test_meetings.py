"""The code blocks of the meetings' description, run against the pack with nothing but the import roots replaced."""

import asyncio
import contextlib
import datetime
import logging
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from dotenv import dotenv_values
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from tenantry import Config, Tenancy
from tenantry.errors import CrossTenant, TenantNotFound, TenantRequired
from tenantry.packs import meetings
from tenantry.packs.meetings import (
    AccountMapping,
    APIRateLimit,
    AuditLog,
    CRMConnection,
    Meetings,
    MeetingsBase,
    MeetingSession,
    Tenant,
    User,
    door,
    get_db,
)
from tenantry.settings import config_from_env, url_from_env
from tenantry.web import TenancyMiddleware, from_header

from .running import BLOCKS, run_block

ROOTS = {"src": "tenantry.packs.meetings"}
PACKAGE = Path(meetings.__file__).parent
EXAMPLE = Path(__file__).parents[2] / "examples" / "meetings"


class Aware(datetime.datetime):
    """The clock of a program that says which zone its times are of."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return datetime.datetime.now(tz or datetime.UTC)


@pytest.fixture(scope="module")
def pack(postgres: Any) -> Iterator[Meetings]:
    """The meetings on PostgreSQL, by a login that is no owner."""
    name = f"seed_meetings_{uuid.uuid4().hex[:8]}"
    with postgres.lend_database() as url:
        owner = Tenancy(url, models=MeetingsBase)
        owner.install()
        app = owner.create_login(name)
        # Tests make the same workspace, one after the other, so no name may rest.
        made = Meetings(Tenancy(app, models=MeetingsBase, owner_url=url, config=Config(route_ttl=0.0)))
        made.tenancy.install(create_tables=True)
        yield made
        for tenancy in (made.tenancy, owner):
            tenancy.close()
    with postgres.admin() as connection:
        connection.execute(f'DROP ROLE "{name}"')


@pytest.fixture(autouse=True)
def opened(pack: Meetings) -> Iterator[None]:
    door.use(pack.tenancy, pack)
    yield
    door.reset()


@pytest.fixture
def tenant_id(pack: Meetings) -> Iterator[uuid.UUID]:
    """A workspace of this test, called as the description calls its own, with a user, a CRM, a mapping, a meeting."""
    tenant = pack.workspaces.install("T0123456789", "My Company", plan_tier="pro")
    with get_db(tenant) as db:
        user = User(slack_user_id="U0000000001", slack_email="first@company.com")
        connection = pack.connections.connect(db, "crono", "env:CRONO")
        mapping = AccountMapping(crm_connection_id=connection.id, email_domain="client.com", crm_account_id="c-1")
        db.add_all([user, mapping, MeetingSession(user_id=user.id, title="Kick-off")])
    yield tenant.id
    pack.tenancy.tenants.erase(tenant, confirm=tenant.slug)


@pytest.fixture
def without_default(pack: Meetings, tenant_id: uuid.UUID) -> None:
    """The description makes a default connection of its own."""
    with get_db(tenant_id) as db:
        db.query(CRMConnection).update({"is_default": False})


def by_team(pack: Meetings) -> FastAPI:
    """Returns an application whose requests name their workspace as Slack does."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await pack.tenancy.aio.close()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(TenancyMiddleware, tenancy=pack.tenancy, resolvers=[from_header("X-Team", kind="slack_team")])
    return app


def run(line: int, **names: Any) -> dict[str, Any]:
    return run_block("001", line, roots=ROOTS, names=names)


def workspace(tenant_id: uuid.UUID, *, deleted: bool = False) -> Tenant:
    with get_db(tenant_id) as db:
        found = db.get(Tenant, tenant_id, execution_options={"include_deleted": deleted})
    assert found is not None
    return found


@pytest.mark.ledger("S1-011", "S1-024", "S1-025", "S1-026")
def test_162_a_workspace_is_created_read_changed_and_deleted(
    pack: Meetings, capsys: pytest.CaptureFixture[str]
) -> None:
    other = pack.workspaces.install("T9999999999", "Other")
    left = run(162, tenant_id=other.id)
    made = pack.tenancy.tenants.get(("slack_team", "T0123456789"))
    assert f"Created tenant: {made.id}\nFound tenant: My Company" in capsys.readouterr().out
    assert workspace(made.id).plan_tier == "enterprise"
    assert left["tenant"].deleted_at is not None
    assert workspace(other.id, deleted=True).deleted_at is not None
    with get_db() as db:
        assert Tenant.get_by_id(db, other.id) is None
    for tenant in (made, other):
        pack.tenancy.tenants.erase(tenant, confirm=tenant.slug)


@pytest.mark.ledger("S1-038", "S1-039")
def test_200_a_workspaces_meetings(tenant_id: uuid.UUID) -> None:
    naive = {"datetime": datetime.datetime, "timedelta": datetime.timedelta, "UUID": uuid.UUID}
    printed = run(200, **naive)["get_tenant_meetings"]
    # A time without a zone would be another moment in another process.
    with pytest.raises(Exception, match="says no time zone"):
        printed(tenant_id)
    aware = run(200, **{**naive, "datetime": Aware})["get_tenant_meetings"]
    assert [meeting.title for meeting in aware(tenant_id)] == ["Kick-off"]
    assert [meeting.title for meeting in meetings.get_tenant_meetings(tenant_id)] == ["Kick-off"]
    assert aware(uuid.uuid4()) == []


@pytest.mark.usefixtures("without_default")
@pytest.mark.ledger("S1-028", "S1-029", "S1-030")
def test_225_relationships(tenant_id: uuid.UUID, capsys: pytest.CaptureFixture[str]) -> None:
    left = run(225)
    assert "Users: 1\nCRM Connections: 1" in capsys.readouterr().out
    with get_db(tenant_id) as db:
        made = db.get_one(CRMConnection, left["crm_conn"].id)
        assert made.connected_by_user_id == left["user"].id
        assert made.connected_by.slack_user_id == "U0123456789"


@pytest.mark.ledger("S1-031", "S1-032", "S1-033", "S1-046")
def test_262_the_audit(tenant_id: uuid.UUID) -> None:
    user_id, meeting_id = uuid.uuid4(), uuid.uuid4()
    left = run(262, tenant_id=tenant_id, user_id=user_id, meeting_id=meeting_id)
    log = left["recent_logs"][0]
    assert (log.event_type, log.event_category, log.status) == ("crm.note.created", "integration", "success")
    assert (log.action_description, log.user_id) == ("Created meeting note in HubSpot", str(user_id))
    assert (log.resource_type, log.resource_id) == ("meeting_session", str(meeting_id))
    assert (log.ip_address, log.user_agent) == ("192.168.1.0/24", "Slack-Bot/1.0")
    assert left["failures"] == []
    with get_db(tenant_id) as db:
        assert db.query(AuditLog).filter(AuditLog.event_type == "crm.note.created").count() == 1


@pytest.mark.ledger("S1-048")
def test_failures_are_kept_whatever_becomes_of_the_transaction(tenant_id: uuid.UUID) -> None:
    event = {"event_type": "auth.denied", "event_category": "security", "action_description": "No", "status": "denied"}

    def fail() -> None:
        with get_db() as db:
            AuditLog.log_event(db, tenant_id=tenant_id, **event)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with get_db() as db:
        assert [log.status for log in AuditLog.get_recent_failures(db, tenant_id=tenant_id, hours=24)] == ["denied"]
    with get_db(tenant_id) as db, pytest.raises(CrossTenant):
        AuditLog.log_event(db, tenant_id=uuid.uuid4(), **event)
    with get_db() as db, pytest.raises(TenantNotFound):
        AuditLog.get_tenant_logs(db, tenant_id=uuid.uuid4())


@pytest.mark.ledger("S1-022", "S1-034", "S1-035", "S1-M07")
def test_300_rate_limits(tenant_id: uuid.UUID, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"resource_type": "meetings_processed", "limit_period": "daily", "limit_value": 100}
    run(300, tenant_id=tenant_id)
    with get_db() as db:
        granted = [APIRateLimit.increment_usage(db, tenant_id, **words)[0] for _ in range(98)]
    assert granted == [True] * 98
    assert capsys.readouterr().out == "Usage: 1/100\n"
    left = run(300, tenant_id=tenant_id)
    assert capsys.readouterr().out == "Usage: 100/100\n"
    with pytest.raises(Exception, match="Rate limit exceeded: 100/100"):
        run(300, tenant_id=tenant_id)
    with get_db() as db:
        assert APIRateLimit.increment_usage(db, tenant_id, **words)[0] is False
    row = left["rate_limit"]
    assert (row.resource_type, row.limit_period, row.current_count, row.limit_value) == (
        "meetings_processed",
        "daily",
        100,
        100,
    )
    assert row.period_end - row.period_start == datetime.timedelta(days=1)
    with get_db(tenant_id) as db:
        (kept,) = db.query(APIRateLimit).all()
        assert (kept.current_count, kept.limit_period, kept.period_end) == (100, "daily", row.period_end)


@pytest.mark.ledger("S1-036", "S1-041")
def test_337_a_users_meetings(pack: Meetings, tenant_id: uuid.UUID) -> None:
    printed = run(337, get_db=get_db, MeetingSession=MeetingSession, UUID=uuid.UUID)["get_user_meetings"]
    with get_db(tenant_id) as db:
        user_id = db.query(User).one().id
    # A user's id says of no workspace; the request does.
    with pytest.raises(TenantRequired):
        printed(user_id)
    app = by_team(pack)
    app.get("/meetings")(lambda: [meeting.title for meeting in printed(user_id)])
    with TestClient(app) as client:
        assert client.get("/meetings", headers={"X-Team": "T0123456789"}).json() == ["Kick-off"]
    assert len(meetings.get_user_meetings(user_id, tenant_id=tenant_id)) == 1


@pytest.mark.ledger("S1-027", "S1-037")
def test_352_an_account_by_address(tenant_id: uuid.UUID) -> None:
    names = {"get_db": get_db, "Tenant": Tenant, "AccountMapping": AccountMapping, "UUID": uuid.UUID}
    printed = run(352, **names)["find_crm_account"]
    for find in (printed, meetings.find_crm_account):
        assert find(tenant_id, "somebody@CLIENT.com").crm_account_id == "c-1"
        assert find(tenant_id, "somebody@elsewhere.com") is None
    assert meetings.find_crm_account(tenant_id, "no address") is None
    assert meetings.find_crm_account(uuid.uuid4(), "somebody@client.com") is None


@pytest.mark.ledger("S1-038")
def test_379_statistics(tenant_id: uuid.UUID) -> None:
    names = {"get_db": get_db, "Tenant": Tenant, "MeetingSession": MeetingSession, "UUID": uuid.UUID}
    printed = run(379, **names, datetime=Aware, timedelta=datetime.timedelta)["get_tenant_stats"]
    expected = {"users": 1, "crm_connections": 1, "meetings_total": 1, "meetings_this_month": 1, "account_mappings": 1}
    assert printed(tenant_id) == meetings.get_tenant_stats(tenant_id) == expected


@pytest.mark.ledger("S1-053")
def test_460_eager_loading_within_a_workspace(tenant_id: uuid.UUID, capsys: pytest.CaptureFixture[str]) -> None:
    with get_db() as db, pytest.raises(TenantRequired):
        run(460, db=db, Tenant=Tenant)
    with get_db(tenant_id) as db:
        left = run(460, db=db, Tenant=Tenant)
    assert [tenant.id for tenant in left["tenants"]] == [tenant_id]
    assert capsys.readouterr().out == "1\n1\n"


@pytest.mark.ledger("S1-005", "S1-006", "S1-007")
@pytest.mark.parametrize("line", [84, 480])
def test_84_and_480_settings(line: int) -> None:
    lines = [each.partition("#")[0].strip() for each in BLOCKS["001"][line].text.splitlines()]
    env = dict(each.split("=", 1) for each in lines if "=" in each)
    config = config_from_env(env)
    assert (config.pool_size, config.max_overflow, config.pool_timeout, config.pool_recycle) == (20, 10, 30, 3600)
    if line == 84:
        assert url_from_env(env) == "postgresql://myuser:mypassword@localhost:5432/slack_fathom_crono"
        assert env.items() <= dotenv_values(EXAMPLE / ".env.example").items()


@pytest.mark.ledger("S1-013", "S1-014", "S1-061")
def test_530_whether_the_database_answers(
    pack: Meetings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(530)
    assert capsys.readouterr().out == "Connection successful!\n"
    info = meetings.get_database_info()
    assert (info["dialect"], info["database"]) == ("postgresql", pack.tenancy.servers.main.database)
    assert info["version"]
    for name, url in {
        "nobody listens": "postgresql://app:hunter2@127.0.0.1:1/saas",
        "no url": "not-a-url",
        "none": "",
    }.items():
        door.reset()
        monkeypatch.setenv("DATABASE_URL", url)
        run(530)
        told = capsys.readouterr().out
        assert told.startswith("Connection failed!"), name
        assert "hunter2" not in told


@pytest.mark.ledger("S1-054", "S1-008")
def test_566_plans_and_the_echo(
    tenant_id: uuid.UUID, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_ECHO", "false")
    with pytest.raises(TenantRequired):
        run(566, get_db=get_db)
    caplog.set_level(logging.DEBUG)
    for wanted, heard in (("true", True), ("false", False)):
        monkeypatch.setenv("DATABASE_ECHO", wanted)
        caplog.clear()
        with get_db(tenant_id) as db:
            db.query(User).all()
        assert ("FROM users" in caplog.text) is heard


@pytest.mark.ledger("S1-044")
def test_605_values_are_bound(tenant_id: uuid.UUID) -> None:
    with get_db(tenant_id) as db:
        user = db.query(User).one()
        for said in (str(user.id), str(uuid.uuid4())):
            left = run(605, request=SimpleNamespace(args={"user_id": said}), db=db, User=User)
            assert left["user"] is (user if said == str(user.id) else None)


@pytest.mark.ledger("S1-012", "S1-015", "S1-063")
def test_644_a_rollback_leaves_nothing(pack: Meetings, capsys: pytest.CaptureFixture[str]) -> None:
    left = run(644)
    assert "Found: Test Workspace" in capsys.readouterr().out
    assert {"Tenant", "User", "CRMConnection", "MeetingSession", "AccountMapping", "AuditLog", "APIRateLimit"} <= set(
        left
    )
    with pytest.raises(TenantNotFound):
        pack.tenancy.tenants.get(("slack_team", "T_TEST_001"))


@pytest.mark.ledger("S1-062")
def test_get_db_as_a_dependency(pack: Meetings, tenant_id: uuid.UUID) -> None:
    app = by_team(pack)

    @app.post("/users/{name}")
    def add(name: str, db: Annotated[Any, Depends(meetings.get_db_dependency, scope="function")]) -> int:
        db.add(User(slack_user_id=name))
        return int(db.query(User).count())

    with TestClient(app) as client:
        assert client.post("/users/U5", headers={"X-Team": "T0123456789"}).json() == 2
    with get_db(tenant_id) as db:
        assert db.query(User).count() == 2


@pytest.mark.ledger("S1-062")
@pytest.mark.parametrize("line", [22, 37, 52, 78, 100, 113, 407, 420, 494, 507, 549, 627])
def test_22_37_52_78_100_113_407_420_494_507_549_627_shell_blocks_are_shell(line: int) -> None:
    subprocess.run(["bash", "-n"], input=BLOCKS["001"][line].text, text=True, check=True, timeout=20)


@pytest.mark.ledger("S1-023")
def test_140_what_hangs_on_what() -> None:
    drawn = BLOCKS["001"][140].text
    words = (
        "tenants",
        "users",
        "crm_connections",
        "account_mappings",
        "meeting_sessions",
        "audit_logs",
        "api_rate_limits",
    )
    tables = MeetingsBase.metadata.tables
    assert all(word in drawn and word in tables for word in words)
    assert {key.column.table.name for key in tables["crm_connections"].foreign_keys} == {"tenants", "users"}
    assert {key.column.table.name for key in tables["account_mappings"].foreign_keys} >= {"crm_connections"}
    assert {key.column.table.name for key in tables["meeting_sessions"].foreign_keys} >= {"crm_connections", "users"}
    assert not tables["audit_logs"].foreign_keys


@pytest.mark.ledger("S1-011")
def test_get_db_commits_rolls_back_and_is_awaited(pack: Meetings, tenant_id: uuid.UUID) -> None:
    def fail() -> None:
        with get_db(tenant_id) as db:
            db.add(User(slack_user_id="U7"))
            db.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    async def add() -> int:
        async with meetings.get_db_async() as db:
            db.add(User(tenant_id=tenant_id, slack_user_id="U8"))
        async with meetings.get_db_async(tenant_id) as db:
            found = await db.run_sync(lambda inner: inner.query(User).filter_by(slack_user_id="U8").count())
        await pack.tenancy.aio.close()
        return found

    assert asyncio.run(add()) == 1
    with get_db(tenant_id) as db:
        assert db.query(User).filter_by(slack_user_id="U7").count() == 0
    assert door.opened
    meetings.close_db()
    assert not door.opened
