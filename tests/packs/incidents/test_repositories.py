"""The repositories do what their names say, for one tenant, in every cell through every door."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from sqlalchemy import ForeignKey, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tenantry import Tenancy
from tenantry.errors import (
    AppendOnlyViolation,
    ConfigurationError,
    CrossTenant,
    IdempotencyConflict,
    IllegalStep,
    InvalidPage,
    RecordNotFound,
    TenantRequired,
    UnknownField,
)
from tenantry.models import SoftDelete, TenantOwned
from tenantry.packs.incidents import (
    BaseRepository,
    Event,
    EventRepository,
    Incident,
    IncidentRepository,
    IncidentStatus,
    Workflow,
    WorkflowRepository,
)
from tenantry.packs.incidents.signatures import is_failure, severity_of, signature_of, title_of

from .cells import MORNING, Desk, Ground, Place


@pytest.fixture
def events(desk: Desk) -> Any:
    return desk.repository("Event")


@pytest.fixture
def incidents(desk: Desk) -> Any:
    return desk.repository("Incident")


@pytest.mark.ledger("S4-018", "S4-019", "S4-020", "S4-021", "S4-022")
def test_every_repository_gets_creates_updates_and_deletes(desk: Desk) -> None:
    workflows = desk.repository("Workflow")
    made = workflows.create({"name": "nightly", "tenant_id": desk.tenant_id})
    assert workflows.get_by_id(made.id) is workflows.get_by_id(made.id, desk.tenant_id) is made
    made.description = "at night"
    assert workflows.update(made) is made
    desk.run(lambda session: session.expire(made))
    assert desk.run(lambda session: made.description) == "at night"
    assert workflows.delete(made.id) is None
    assert workflows.get_by_id(made.id) is None
    with pytest.raises(RecordNotFound):
        workflows.delete(made.id)
    with pytest.raises(UnknownField):
        workflows.create({"name": "x", "colour": "red"})


@pytest.mark.ledger("S4-023")
def test_a_row_of_the_neighbours_is_not_there(ground: Ground, desk: Desk) -> None:
    desk.run(lambda session: session.rollback())
    with ground.session(desk.place, "rival") as rival:
        theirs, them = rival.billing(), rival.tenant_id
    workflows = desk.repository("Workflow")
    assert workflows.get_by_id(theirs.id) is None
    with pytest.raises(RecordNotFound):
        workflows.delete(theirs.id)
    for ask in (
        lambda: workflows.get_by_id(theirs.id, them),
        lambda: workflows.create({"name": "x", "tenant_id": them}),
        lambda: desk.repository("Event").get_by_idempotency_key("k-1", them),
        lambda: desk.repository("Event").get_recent_events(them, theirs.id),
        lambda: desk.repository("Event").count_events(them, theirs.id),
        lambda: desk.repository("Incident").get_incidents_paginated(them),
        lambda: desk.repository("Incident").get_incidents_by_status(them, IncidentStatus.NEW),
        lambda: desk.repository("KillSwitch").is_active(them),
        lambda: desk.repository("Event").record(desk.told(tenant_id=them)),
    ):
        with pytest.raises(CrossTenant):
            ask()


@pytest.mark.ledger("S4-031")
def test_every_query_is_the_tenants_alone(desk: Desk, events: Any, incidents: Any) -> None:
    billing = desk.billing()
    assert events.count_events(None, billing.id) == events.count_events(desk.tenant_id, billing.id) == 3
    assert {row.title for row in incidents.list()} == {"acme"}
    assert {row.tenant_id for row in events.list()} == {desk.tenant_id}
    assert desk.repository("Tenant").get_own().name == "acme"
    assert [row.name for row in desk.repository("Workflow").get_active()] == ["billing"]
    assert desk.repository("Workflow").get_by_name("billing", desk.tenant_id) is billing
    assert desk.repository("Workflow").get_by_name("unheard of") is None


@pytest.mark.ledger("S4-024", "S4-025", "S4-029")
def test_events_by_key_by_time_and_counted(desk: Desk, events: Any) -> None:
    billing = desk.billing()
    found = events.get_by_idempotency_key("k-2", desk.tenant_id)
    assert (found.idempotency_key, events.get_by_idempotency_key("k-9")) == ("k-2", None)
    now = datetime.datetime.now(datetime.UTC)
    for hours in (1, 23, 25):
        at = now - datetime.timedelta(hours=hours)
        events.create(desk.told(idempotency_key=f"{hours} h ago", occurred_at=at))
    recent = events.get_recent_events(desk.tenant_id, billing.id)
    assert [row.idempotency_key for row in recent] == ["1 h ago", "23 h ago"]
    assert len(events.get_recent_events(desk.tenant_id, billing.id, hours=26)) == 3
    assert events.get_recent_events(desk.tenant_id, uuid.uuid4()) == []
    assert events.count_events(desk.tenant_id, billing.id) == 6
    found.correlation_id  # noqa: B018  # it is loaded
    assert [row.id for row in events.get_by_correlation(found.correlation_id)] == [found.id]


@pytest.mark.ledger("S4-023")
def test_an_event_is_written_once_for_its_key(desk: Desk, events: Any) -> None:
    told = desk.told(idempotency_key="once")
    made, new = events.record(told)
    assert new
    assert events.record({**told, "tenant_id": desk.tenant_id}) == (made, False)
    with pytest.raises(IdempotencyConflict):
        events.record({**told, "event_type": "payment.captured"})
    created = events.create(desk.told(idempotency_key="created"))
    assert events.record(desk.told(idempotency_key="created")) == (created, False)


@pytest.mark.ledger("S4-023")
def test_a_key_that_was_used_is_refused_by_create(desk: Desk, events: Any) -> None:
    with pytest.raises(IntegrityError):
        events.create(desk.told(idempotency_key="k-1"))


@pytest.mark.ledger("S4-033")
def test_events_stay_and_the_rest_changes(desk: Desk, events: Any, incidents: Any) -> None:
    row = incidents.get_by_signature("s-1")
    assert incidents.take(row, IncidentStatus.ANALYZING).status == "ANALYZING"
    assert incidents.update(row, event_count=7).event_count == 7
    with pytest.raises(IllegalStep):
        incidents.take(row, IncidentStatus.NEW)
    found = events.get_by_idempotency_key("k-1")
    with pytest.raises(AppendOnlyViolation):
        events.delete(found.id)
    found.event_type = "other"
    with pytest.raises(AppendOnlyViolation):
        events.update(found)


@pytest.mark.ledger("S4-026")
def test_an_event_is_counted_on_the_incident_that_stands(desk: Desk, events: Any, incidents: Any) -> None:
    def event(minute: int, **values: Any) -> Event:
        return events.create(desk.told(occurred_at=MORNING + datetime.timedelta(minutes=minute), **values))

    first = incidents.create_from_event(event(10))
    assert (first.event_count, first.status, first.first_seen_at) == (1, "NEW", first.last_seen_at)
    assert incidents.create_from_event(event(30)) is first
    assert incidents.create_from_event(event(5)) is first
    assert first.event_count == 3
    assert (first.first_seen_at.minute, first.last_seen_at.minute) == (5, 30)
    other = incidents.create_from_event(event(40, payload={"error_code": "expired", "severity": "high"}))
    assert (other.id != first.id, other.severity) == (True, "HIGH")
    incidents.take(first, IncidentStatus.IGNORED)
    assert incidents.create_from_event(event(50)) is first
    incidents.take(first, IncidentStatus.RESOLVED)
    assert first.resolved_at is not None
    again = incidents.create_from_event(event(60))
    assert (again.id != first.id, again.event_count, first.event_count) == (True, 1, 4)
    assert incidents.get_by_signature(first.signature) is again


@pytest.mark.ledger("S4-027", "S4-028")
def test_incidents_by_page_and_status(desk: Desk, incidents: Any) -> None:
    def signatures(found: list[Incident]) -> list[str]:
        return [row.signature for row in found]

    assert signatures(incidents.get_incidents_paginated(desk.tenant_id)) == ["s-3", "s-2", "s-1"]
    assert signatures(incidents.get_incidents_paginated(desk.tenant_id, page=2, page_size=2)) == ["s-1"]
    assert incidents.get_incidents_paginated(page=3, page_size=2) == []
    with pytest.raises(InvalidPage):
        incidents.get_incidents_paginated(desk.tenant_id, page=0)
    incidents.take(incidents.get_by_signature("s-2"), IncidentStatus.ANALYZING)
    assert signatures(incidents.get_incidents_by_status(desk.tenant_id, IncidentStatus.NEW)) == ["s-3", "s-1"]
    assert signatures(incidents.get_incidents_by_status(None, "ANALYZING")) == ["s-2"]
    with pytest.raises(ValueError, match="LOST"):
        incidents.get_incidents_by_status(None, "LOST")


@pytest.mark.ledger("S4-023")
def test_what_was_decided_and_done_about_an_incident(desk: Desk, incidents: Any) -> None:
    row, decisions, actions = incidents.get_by_signature("s-1"), desk.repository("Decision"), desk.repository("Action")
    told = {"incident_id": row.id, "decision_type": "retry", "reasoning": "x", "ai_model": "m", "confidence_score": 1.0}
    made = decisions.create(told)
    waiting = actions.create({"incident_id": row.id, "action_type": "retry", "decision_id": made.id})
    started = actions.take(actions.create({"incident_id": row.id, "action_type": "manual"}), "IN_PROGRESS")
    assert decisions.get_by_incident(row.id, desk.tenant_id) == [made]
    assert actions.get_by_incident(row.id) == [waiting, started]
    assert actions.get_by_incident(row.id, status="PENDING") == [waiting]
    assert started.started_at is not None
    with pytest.raises(AppendOnlyViolation):
        decisions.delete(made)
    actions.delete(waiting)
    assert actions.get_by_incident(row.id, desk.tenant_id) == [started]


@pytest.mark.ledger("S4-041")
def test_a_switch_stops_a_workflow_or_the_whole_tenant(desk: Desk) -> None:
    switches, billing = desk.repository("KillSwitch"), desk.billing()
    other = desk.repository("Workflow").get_by_name("old")
    assert not switches.is_active(desk.tenant_id, billing.id)
    made = switches.create({"workflow_id": billing.id, "reason": "loops", "activated_by": "ann"})
    assert (made.workflow_id, made.is_active, made.reason, made.activated_by) == (billing.id, True, "loops", "ann")
    assert switches.is_active(desk.tenant_id, billing.id)
    assert not switches.is_active(desk.tenant_id)
    assert not switches.is_active(None, uuid.uuid4())
    whole = switches.activate(reason="breach", seconds=3600)
    assert (whole.workflow_id, whole.expires_at is None) == (None, False)
    assert switches.is_active(None, uuid.uuid4())
    assert [row.workflow_id for row in switches.get_active()] == [None, billing.id]
    assert switches.deactivate(deactivated_by="bob")
    assert (whole.is_active, whole.deactivated_by) == (False, "bob")
    assert switches.deactivate(workflow_id=billing.id)
    assert not switches.deactivate(workflow_id=billing.id)
    assert switches.get_active() == []
    with pytest.raises(ConfigurationError):
        switches.create({"reason": " "})
    with pytest.raises(UnknownField):
        switches.create({"reason": "x", "colour": "red"})
    kept = switches.create(
        {"tenant_id": desk.tenant_id, "reason": "over", "is_active": False, "workflow_id": other.id}
        | {"deactivated_at": MORNING}
    )
    assert (kept.is_active, switches.is_active(desk.tenant_id, other.id)) == (False, False)
    thrown = switches.create({"reason": "again", "is_active": True, "workflow_id": other.id, "activated_by": "ann"})
    assert (thrown is kept, thrown.is_active, switches.is_active(None, other.id)) == (True, True, True)


@pytest.mark.ledger("S4-023")
@pytest.mark.parametrize("cell", ["postgresql-rows", "postgresql-database", "sqlite-file"])
def test_of_many_events_at_once_one_incident_rises(ground: Ground, cell: str) -> None:
    tenancy = ground.pack(Place(cell, "sync")).tenancy
    slug = f"many-{cell}"
    tenancy.tenants.create(slug, isolation=dict(CELL_ISOLATIONS)[cell], record={"name": "many"})
    with tenancy.transaction(slug) as session:
        workflow = Workflow(name="busy")
        session.add(workflow)
    desk_of = ground.packs["sqlite" if cell.startswith("sqlite") else "psycopg"]

    def ingest(number: int) -> bool:
        told = {"workflow_id": workflow.id, "event_type": "sync.failed", "occurred_at": MORNING}
        return desk_of.ingest(slug, {**told, "idempotency_key": f"n-{number // 2}"}).new

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(ingest, range(16)))
    with tenancy.session(slug) as session:
        (row,) = session.scalars(select(Incident)).all()
        assert (sum(made), row.event_count, len(session.scalars(select(Event)).all())) == (8, 8, 8)
    tenancy.tenants.erase(slug, confirm=slug)


CELL_ISOLATIONS = [("postgresql-rows", "rows"), ("postgresql-database", "database"), ("sqlite-file", "database")]


@pytest.mark.ledger("S4-044")
def test_a_session_can_be_stood_in_for() -> None:
    async def run() -> None:
        session = AsyncMock(spec=AsyncSession)
        row = Event(id=uuid.uuid4(), event_type="test.event")
        session.execute.return_value = MagicMock(**{"scalar_one_or_none.return_value": row})
        events = EventRepository(session)
        assert await events.get_by_id(row.id, uuid.uuid4()) is row
        assert await events.get_by_idempotency_key("k", uuid.uuid4()) is row
        session.execute.return_value.scalar_one.return_value = 7
        assert await events.count_events(uuid.uuid4(), uuid.uuid4()) == 7
        session.execute.return_value.scalars.return_value.all.return_value = [row]
        assert await events.get_recent_events(uuid.uuid4(), uuid.uuid4()) == [row]
        assert await IncidentRepository(session).get_incidents_paginated(uuid.uuid4()) == [row]
        assert (session.flush.await_count, session.add.call_count) == (0, 0)
        made = await WorkflowRepository(session).create({"name": "x"})
        session.add.assert_called_once_with(made)
        assert await WorkflowRepository(session).update(made, description="y") is made
        await WorkflowRepository(session).delete(made)
        session.delete.assert_awaited_once_with(made)
        assert session.flush.await_count == 3
        assert session.commit.await_count == 0

    asyncio.run(run())


@pytest.mark.ledger("S4-023")
def test_each_repository_knows_its_model() -> None:
    from tenantry.packs import incidents

    for name in ("Event", "Incident", "Action", "Decision", "Tenant", "Workflow", "Vendor", "KillSwitch"):
        repository = getattr(incidents, f"{name}Repository")
        session = AsyncMock(spec=AsyncSession)
        assert repository(session).model is getattr(incidents, name)
        assert repository(session).session is session


class Base(DeclarativeBase):
    """Another application's models."""


class Folder(SoftDelete, TenantOwned, Base):
    __tablename__ = "folders"
    name: Mapped[str]


class Note(TenantOwned, Base):
    __tablename__ = "notes"
    text: Mapped[str]
    folder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))


class FolderRepository(BaseRepository[Folder]):
    """Of another application."""


@pytest.mark.ledger("S4-023")
def test_the_base_serves_other_models_and_stamps_where_it_can(tmp_path: Any) -> None:
    tenancy = Tenancy(f"sqlite:///{tmp_path}", models=Base)
    tenancy.install(create_tables=True)
    tenancy.tenants.create("acme")

    async def run() -> None:
        async with tenancy.aio.transaction("acme") as session:
            folders, notes = FolderRepository(session), BaseRepository(session, model=Note)
            folder = await folders.create({"name": "f"})
            note = await notes.create({"text": "n", "folder_id": folder.id})
            await folders.delete(folder.id)
            await notes.delete(note.id)
            assert await folders.get_by_id(folder.id) is None
            assert await folders.count() == 0
            assert folder.deleted_at is not None
            assert (await folders.restore(folder.id)).deleted_at is None
        await tenancy.aio.close()

    asyncio.run(run())
    tenancy.close()


@pytest.mark.ledger("S4-023")
def test_a_session_of_nobody_records_nothing() -> None:
    from tenantry.packs.incidents.rows import EventRows

    with Session() as session, pytest.raises(TenantRequired):
        EventRows(session).record({"idempotency_key": "k"})


@pytest.mark.ledger("S4-023")
def test_what_tells_failures_apart() -> None:
    workflow = uuid.uuid4()
    assert is_failure("payment.failed", {})
    assert is_failure("payment.step", {"error": "boom"})
    assert not is_failure("payment.captured", {"amount": 1})
    same = signature_of(workflow, "payment.failed", {"error_code": "x", "amount": 1})
    assert same == signature_of(workflow, "payment.failed", {"error_code": "x", "amount": 2})
    assert same != signature_of(workflow, "payment.failed", {"error_code": "y"})
    assert same != signature_of(uuid.uuid4(), "payment.failed", {"error_code": "x"})
    assert len(signature_of(workflow, "e" * 255, {})) <= 255
    assert title_of("a.failed", {"message": "first\nsecond"}) == "a.failed: first"
    assert title_of("a.failed", {}) == "a.failed"
    assert (severity_of({"severity": "critical"}), severity_of({"severity": "?"})) == ("CRITICAL", "MEDIUM")
