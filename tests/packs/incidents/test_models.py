"""The tables of incidents: columns, defaults, constraints and indexes, alike in every cell."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from sqlalchemy import Boolean, Double, Integer, String, Text, Uuid, delete, inspect, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from tenantry.errors import AppendOnlyViolation, CrossTenant, IllegalStep
from tenantry.models import JSONDocument, Ownership, UTCDateTime, is_append_only, lint, ownership
from tenantry.packs.incidents import (
    Action,
    ActionStatus,
    ActionType,
    BaseModel,
    CircuitState,
    CorrelationMixin,
    Decision,
    Event,
    Incident,
    IncidentsBase,
    IncidentStatus,
    KillSwitch,
    Severity,
    Tenant,
    TenantMixin,
    Vendor,
    Workflow,
)

from .cells import MORNING, Desk, Ground

# By table: its columns, their types, and whether they may be null; the key and the times are looked at apart.
TABLES: dict[type[Any], dict[str, tuple[Any, bool]]] = {
    Tenant: {"name": (String(255), False), "is_active": (Boolean(), False), "settings": (JSONDocument(), False)},
    Workflow: {"name": (String(255), False), "description": (Text(), False), "is_active": (Boolean(), False)},
    Vendor: {
        "name": (String(255), False),
        "circuit_breaker_state": (String(20), False),
        "circuit_breaker_failure_count": (Integer(), False),
        "circuit_breaker_opened_at": (UTCDateTime(), True),
        "last_failure_at": (UTCDateTime(), True),
        "last_success_at": (UTCDateTime(), True),
        "rate_limit_per_minute": (Integer(), False),
        "failure_threshold": (Integer(), False),
        "recovery_timeout_s": (Integer(), False),
        "half_open_max_calls": (Integer(), False),
        "is_active": (Boolean(), False),
        "config": (JSONDocument(), False),
    },
    Event: {
        "workflow_id": (Uuid(), False),
        "event_type": (String(255), False),
        "payload": (JSONDocument(), False),
        "idempotency_key": (String(255), False),
        "idempotency_digest": (String(64), True),
        "occurred_at": (UTCDateTime(), False),
        "correlation_id": (String(128), False),
    },
    Incident: {
        "signature": (String(255), False),
        "title": (String(500), False),
        "status": (String(20), False),
        "severity": (String(20), False),
        "event_count": (Integer(), False),
        "first_seen_at": (UTCDateTime(), False),
        "last_seen_at": (UTCDateTime(), False),
        "workflow_id": (Uuid(), True),
        "vendor_id": (Uuid(), True),
        "resolved_at": (UTCDateTime(), True),
        "correlation_id": (String(128), False),
    },
    Decision: {
        "incident_id": (Uuid(), False),
        "decision_type": (String(50), False),
        "reasoning": (Text(), False),
        "confidence_score": (Double(), False),
        "ai_model": (String(100), False),
    },
    Action: {
        "incident_id": (Uuid(), False),
        "decision_id": (Uuid(), True),
        "action_type": (String(20), False),
        "status": (String(20), False),
        "parameters": (JSONDocument(), False),
        "result": (JSONDocument(), True),
        "is_reversible": (Boolean(), False),
        "attempt": (Integer(), False),
        "started_at": (UTCDateTime(), True),
        "finished_at": (UTCDateTime(), True),
        "error": (Text(), True),
    },
    KillSwitch: {
        "workflow_id": (Uuid(), True),
        "workflow": (String(255), False),
        "is_active": (Boolean(), False),
        "reason": (Text(), False),
        "activated_by": (String(255), True),
        "activated_at": (UTCDateTime(), False),
        "deactivated_at": (UTCDateTime(), True),
        "deactivated_by": (String(255), True),
        "expires_at": (UTCDateTime(), True),
    },
}
KEPT = (Event, Decision)


def columns_of(model: type[Any]) -> dict[str, tuple[str, bool]]:
    return {column.name: (_spelt(column.type), bool(column.nullable)) for column in inspect(model).local_table.c}


def _spelt(kind: Any) -> str:
    sized = f"({kind.length})" if getattr(kind, "length", None) and isinstance(kind, String) else ""
    return f"{type(kind).__name__}{sized}".replace("Float", "Double").replace("Moment", "UTCDateTime")


def check_columns(*models: type[Any]) -> None:
    for model in models:
        wanted = {name: (_spelt(kind), nullable) for name, (kind, nullable) in TABLES[model].items()}
        times = ["created_at"] if model in KEPT else ["created_at", "updated_at"]
        wanted |= dict.fromkeys(times, ("UTCDateTime", False)) | {"id": ("Uuid", False)}
        if model is not Vendor:
            wanted["tenant_id"] = ("Uuid", False)
        assert columns_of(model) == wanted


@pytest.mark.ledger("S4-009", "S4-M01.2", "S4-M01.3", "S4-010", "S4-M02.2")
def test_the_columns_of_tenants_and_workflows() -> None:
    check_columns(Tenant, Workflow)
    assert inspect(Tenant).local_table.name == "tenants"
    assert inspect(Workflow).local_table.name == "workflows"


@pytest.mark.ledger("S4-011", "S4-M03.1", "S4-M03.2", "S4-M03.4", "S4-M03.5")
def test_the_columns_of_vendors() -> None:
    check_columns(Vendor)
    assert ownership(inspect(Vendor).local_table) is Ownership.PLATFORM


@pytest.mark.ledger("S4-012", "S4-M04.2", "S4-M04.3", "S4-M04.5")
def test_the_columns_of_events() -> None:
    check_columns(Event)
    assert issubclass(Event, (TenantMixin, CorrelationMixin))


@pytest.mark.ledger("S4-013", "S4-M05.1", "S4-M05.3", "S4-M05.4")
def test_the_columns_of_incidents() -> None:
    check_columns(Incident)


@pytest.mark.ledger("S4-014", "S4-M06.1", "S4-M06.2", "S4-015", "S4-M07.1")
def test_the_columns_of_decisions_and_actions() -> None:
    check_columns(Decision, Action)


@pytest.mark.ledger("S4-016", "S4-M08.2", "S4-M07.2")
def test_the_columns_of_actions_and_kill_switches() -> None:
    check_columns(Action, KillSwitch)


@pytest.mark.ledger("S4-002", "S4-003", "S4-004")
def test_what_the_mixins_bring() -> None:
    for model in TABLES:
        assert issubclass(model, BaseModel)
        assert set(columns_of(model)) >= {"id", "created_at"}
        assert ("updated_at" in columns_of(model)) is (model not in KEPT)
        assert ("correlation_id" in columns_of(model)) is issubclass(model, CorrelationMixin)
        assert issubclass(model, TenantMixin) is (model not in (Tenant, Vendor))
    assert [model for model in TABLES if is_append_only(inspect(model).local_table)] == list(KEPT)


@pytest.mark.ledger("S4-017")
def test_the_words() -> None:
    assert [status.value for status in IncidentStatus] == ["NEW", "ANALYZING", "ACTIONED", "RESOLVED", "IGNORED"]
    assert [status.value for status in ActionStatus] == ["PENDING", "IN_PROGRESS", "SUCCEEDED", "FAILED"]
    assert [kind.value for kind in ActionType] == ["retry", "escalate", "manual"]
    assert [severity.value for severity in Severity] == ["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    assert [state.value for state in CircuitState] == ["closed", "open", "half_open"]


@pytest.mark.ledger("S4-001")
def test_the_linter_finds_nothing() -> None:
    assert lint(IncidentsBase.metadata) == []


@pytest.mark.ledger("S4-036", "S4-037")
def test_keys_and_named_indexes() -> None:
    found = {
        index.name: (index.table.name, [column.name for column in index.columns])
        for table in IncidentsBase.metadata.tables.values()
        for index in table.indexes
    }
    wanted = {
        "ix_events_tenant_workflow": ("events", ["tenant_id", "workflow_id"]),
        "ix_events_tenant_occurred": ("events", ["tenant_id", "occurred_at"]),
        "ix_incidents_tenant_status": ("incidents", ["tenant_id", "status"]),
        "ix_actions_incident_status": ("actions", ["tenant_id", "incident_id", "status"]),
        "ix_kill_switches_tenant_active": ("kill_switches", ["tenant_id", "is_active"]),
    }
    assert found.items() >= wanted.items()
    for model in TABLES:
        own = [column.name for column in inspect(model).local_table.primary_key]
        assert own == (["id"] if model is Vendor else ["tenant_id", "id"])
        assert isinstance(inspect(model).local_table.c.id.type, Uuid)


@pytest.mark.ledger("S4-M02.1", "S4-M04.4", "S4-M05.2", "S4-M08.1", "S4-M04.1")
def test_what_is_there_once_is_told_apart_from_the_neighbours(desk: Desk) -> None:
    billing = desk.billing()

    # The neighbour has rows with these words too, and they are in nobody's way.
    refused(desk, Workflow(name="billing"))
    refused(desk, Event(workflow_id=billing.id, event_type="x", idempotency_key="k-1", occurred_at=MORNING))
    refused(desk, Event(workflow_id=uuid.uuid4(), event_type="x", idempotency_key="new", occurred_at=MORNING))
    refused(desk, Incident(signature="s-1", title="twice"))
    desk.repository("KillSwitch").create({"reason": "all of it"})
    refused(desk, KillSwitch(reason="all of it, again"))
    desk.repository("KillSwitch").create({"reason": "one", "workflow_id": billing.id})
    refused(desk, KillSwitch(reason="one, again", workflow_id=billing.id))


@pytest.mark.ledger("S4-001")
def test_what_no_row_may_hold(desk: Desk) -> None:
    known = incident(desk)
    for row in (
        Incident(signature="x", title="x", severity="DREADFUL"),
        Incident(signature="x", title="x", event_count=0),
        Decision(incident_id=known, confidence_score=1.01, **DECIDED),
        Decision(incident_id=known, confidence_score=-0.01, **DECIDED),
        Decision(incident_id=uuid.uuid4(), confidence_score=0.5, **DECIDED),
        Action(incident_id=known, action_type="dance"),
        Action(incident_id=known, action_type="retry", attempt=0),
        Action(incident_id=uuid.uuid4(), action_type="retry"),
        Action(incident_id=known, action_type="retry", decision_id=uuid.uuid4()),
    ):
        refused(desk, row)


def refused(desk: Desk, row: Any) -> None:
    """Makes sure that the database refuses a row, in a savepoint."""

    def work(session: Session) -> None:
        savepoint = session.begin_nested()
        session.add(row)
        with pytest.raises(IntegrityError):
            session.flush()
        savepoint.rollback()

    desk.run(work)


DECIDED = {"decision_type": "retry", "reasoning": "because", "ai_model": "rules-1"}


def incident(desk: Desk) -> uuid.UUID:
    return desk.run(lambda session: session.scalars(select(Incident.id).filter_by(signature="s-1")).one())


@pytest.mark.ledger("S4-001")
def test_statuses_begin_at_the_beginning() -> None:
    with pytest.raises(IllegalStep):
        Incident(signature="x", title="x", status="RESOLVED")
    with pytest.raises(IllegalStep):
        Action(action_type="retry", status="FAILED")


@pytest.mark.ledger("S4-M03.3")
@pytest.mark.parametrize("cell", ["psycopg", "sqlite"])
@pytest.mark.parametrize(
    "values",
    [
        {"name": "payments"},
        {"name": "x", "circuit_breaker_state": "ajar"},
        {"name": "x", "circuit_breaker_failure_count": -1},
        {"name": "x", "rate_limit_per_minute": 0},
        {"name": "x", "failure_threshold": 0},
    ],
)
def test_what_no_vendor_may_hold(ground: Ground, cell: str, values: dict[str, Any]) -> None:
    with ground.packs[cell].tenancy.platform() as session:
        session.add(Vendor(**values))
        with pytest.raises(IntegrityError):
            session.flush()


@pytest.mark.ledger("S4-001")
def test_a_vendor_begins_closed(ground: Ground) -> None:
    with ground.packs["psycopg"].tenancy.platform() as session:
        made = Vendor(name="x")
        session.add(made)
        session.flush()
        counts = (made.circuit_breaker_failure_count, made.rate_limit_per_minute, made.failure_threshold)
        assert (made.circuit_breaker_state, made.is_active, made.config) == ("closed", True, {})
        assert (counts, made.recovery_timeout_s, made.half_open_max_calls) == ((0, 60, 5), 60, 1)


@pytest.mark.ledger("S4-001")
def test_no_tenant_sees_a_vendor(desk: Desk) -> None:
    def work(session: Session) -> None:
        with pytest.raises(Exception, match=r"(?i)permission|no such table|not exist|denied|prohibited"):
            session.execute(select(Vendor.name)).all()

    desk.run(work)


@pytest.mark.ledger("S4-M01.1", "S4-M02.2")
def test_what_rows_begin_with(desk: Desk) -> None:
    def work(session: Session) -> None:
        tenant = session.scalars(select(Tenant)).one()
        workflow, row = Workflow(name="fresh"), Incident(signature="fresh", title="fresh")
        session.add_all([workflow, row])
        session.flush()
        assert (tenant.id, tenant.name, tenant.is_active, tenant.settings) == (desk.tenant_id, "acme", True, {})
        assert (workflow.tenant_id, workflow.description, workflow.is_active) == (desk.tenant_id, "", True)
        assert (row.status, row.severity, row.event_count, row.resolved_at) == ("NEW", "MEDIUM", 1, None)
        assert row.first_seen_at.utcoffset() == datetime.timedelta(0)
        action = Action(incident=row, action_type="retry")
        session.add(action)
        session.flush()
        assert (action.status, action.attempt, action.parameters, action.result) == ("PENDING", 1, {}, None)
        assert (action.is_reversible, action.created_at) == (False, action.updated_at)

    desk.run(work)


@pytest.mark.ledger("S4-001")
def test_a_row_keeps_the_correlation_of_its_request(desk: Desk) -> None:
    def work(session: Session) -> None:
        session.info["correlation_id"] = "request-4711"
        made, given = Incident(signature="a", title="a"), Incident(signature="b", title="b", correlation_id="own")
        session.add_all([made, given])
        session.flush()
        del session.info["correlation_id"]
        alone = Incident(signature="c", title="c")
        session.add(alone)
        session.flush()
        assert (made.correlation_id, given.correlation_id, len(alone.correlation_id)) == ("request-4711", "own", 32)

    desk.run(work)


@pytest.mark.ledger("S4-032")
def test_events_and_decisions_stay_as_they_were_written(desk: Desk) -> None:
    def work(session: Session) -> None:
        kept = session.scalars(select(Event).filter_by(idempotency_key="k-1")).one()
        decision = Decision(incident_id=session.scalars(select(Incident.id)).first(), confidence_score=1, **DECIDED)
        session.add(decision)
        session.flush()
        for statement in (
            update(Event).values(event_type="other"),
            update(Decision).values(reasoning="other"),
            delete(Event),
            delete(Decision),
            update(Event.__table__).values(event_type="other"),
        ):
            with pytest.raises((AppendOnlyViolation, DBAPIError)), session.begin_nested():
                session.execute(statement)
        for row, name in ((kept, "event_type"), (decision, "reasoning")):
            savepoint = session.begin_nested()
            setattr(row, name, "other")
            with pytest.raises(AppendOnlyViolation):
                session.flush()
            savepoint.rollback()
            session.expire(row)
            assert getattr(row, name) != "other"

    desk.run(work)


@pytest.mark.ledger("S4-001")
def test_a_naive_time_of_an_event_is_utc(desk: Desk) -> None:
    def work(session: Session) -> None:
        row = Event(
            workflow_id=session.scalars(select(Workflow.id)).first(),
            event_type="x",
            idempotency_key="naive",
            occurred_at=MORNING.replace(tzinfo=None),
        )
        session.add(row)
        session.flush()
        session.expire(row)
        assert row.occurred_at == MORNING

    desk.run(work)


@pytest.mark.ledger("S4-001")
def test_a_row_of_the_neighbours_is_refused(ground: Ground, desk: Desk) -> None:
    if desk.place.cell.startswith("sqlite"):
        # One writer at a time: theirs is only read.
        desk.run(lambda session: session.rollback())
    with ground.session(desk.place, "rival") as rival:
        theirs = rival.billing()
        assert theirs.description == "rival"

    def work(session: Session) -> None:
        assert session.get(Workflow, theirs.id) is None
        with pytest.raises(CrossTenant):
            session.add(theirs)

    desk.run(work)


@pytest.mark.ledger("S4-001")
def test_a_workflow_takes_its_switch_along_and_leaves_its_incidents(desk: Desk) -> None:
    def work(session: Session) -> None:
        gone = Workflow(name="gone")
        session.add(gone)
        session.flush()
        row = Incident(signature="of gone", title="x", workflow_id=gone.id)
        session.add_all([row, KillSwitch(workflow_id=gone.id, reason="x")])
        session.flush()
        session.delete(gone)
        session.flush()
        session.refresh(row)
        assert row.workflow_id is None
        assert session.scalars(select(KillSwitch).filter_by(workflow_id=gone.id)).all() == []

    desk.run(work)
