"""From an event to an outcome: each step in one commit, illegal ones refused, on the record, in every cell."""

from __future__ import annotations

import gc
import inspect
import uuid
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tenantry import Tenancy
from tenantry.errors import CrossTenant, IllegalStep, KillSwitchActive, RecordNotFound, WorkflowInactive
from tenantry.packs.incidents import (
    Action,
    Decision,
    Event,
    Incident,
    IncidentsBase,
    Workflow,
    flow,
    flow_aio,
    pack,
    pack_aio,
)

from .cells import MORNING, Desk, Ground, Place, Units

DECIDED = {"decision_type": "retry", "reasoning": "it was down", "confidence_score": 0.9, "ai_model": "rules-1"}


def failed(units: Units, **values: Any) -> dict[str, Any]:
    with units.ground.session(units.place, units.side) as desk:
        return desk.told(payload={"error_code": uuid.uuid4().hex}, **values)


def rows_of(units: Units, model: Any, **filters: Any) -> list[Any]:
    with units.ground.session(units.place, units.side) as desk:
        return desk.run(lambda session: session.scalars(select(model).filter_by(**filters)).all())


@pytest.mark.ledger("S4-034", "S4-035")
def test_an_event_and_its_incident_are_committed_together(units: Units) -> None:
    told = failed(units)
    found = units.ingest(told)
    assert (found.new, found.incident.event_count, found.incident.correlation_id) == (
        True,
        1,
        found.event.correlation_id,
    )
    (row,) = rows_of(units, Incident, id=found.incident.id)
    assert row.signature == found.incident.signature
    again = units.ingest(told)
    assert (again.new, again.event.id, again.incident.id, again.incident.event_count) == (
        False,
        found.event.id,
        found.incident.id,
        1,
    )


@pytest.mark.ledger("S4-035")
def test_what_fails_on_the_way_leaves_nothing(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    told = failed(units)

    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("in between")

    monkeypatch.setattr(flow.IncidentRows, "create_from_event", breaks)
    with pytest.raises(RuntimeError, match="in between"):
        units.ingest(told)
    assert rows_of(units, Event, idempotency_key=told["idempotency_key"]) == []


@pytest.mark.ledger("S4-035")
def test_an_event_that_tells_of_no_failure_raises_nothing(desk: Desk) -> None:
    found = desk.flow().ingest(desk.told(event_type="payment.captured", payload={"amount": 1}))
    assert (found.new, found.incident) == (True, None)


@pytest.mark.ledger("S4-035")
def test_from_the_event_to_the_outcome(units: Units) -> None:
    incident = units.ingest(failed(units)).incident
    decision = units.decide(incident.id, **DECIDED)
    action = units.plan(incident.id, action_type="retry", parameters={"after": 60}, decision_id=decision.id)
    assert (action.status, action.attempt, action.decision_id) == ("PENDING", 1, decision.id)
    assert units.start(action.id).status == "IN_PROGRESS"
    ended = units.fail(action.id, error="still down", result={"code": 503})
    assert (ended.status, ended.error, ended.result) == ("FAILED", "still down", {"code": 503})
    assert rows_of(units, Incident, id=incident.id)[0].status == "ANALYZING"
    second = units.plan(incident.id, action_type="retry")
    other = units.plan(incident.id, action_type="manual")
    assert (second.attempt, other.attempt) == (2, 1)
    units.start(second.id)
    units.succeed(second.id, result={"ok": True})
    # Something is still to be done.
    assert rows_of(units, Incident, id=incident.id)[0].status == "ACTIONED"
    units.start(other.id)
    done = units.succeed(other.id)
    (row,) = rows_of(units, Incident, id=incident.id)
    assert (row.status, row.resolved_at is None, done.finished_at is None) == ("RESOLVED", False, False)
    assert done.started_at <= done.finished_at


@pytest.mark.ledger("S4-035")
def test_it_is_on_the_record(units: Units) -> None:
    incident = units.ingest(failed(units)).incident
    units.decide(incident.id, **DECIDED)
    action = units.plan(incident.id, action_type="manual")
    units.start(action.id)
    units.succeed(action.id)
    with units.pack.tenancy.session(units.slug) as session:
        found = units.pack.audit.entries(session, resource=("incident", incident.id))
        assert [entry.event_type for entry in found] == [
            "incident.opened",
            "incident.decided",
            "incident.action_planned",
            "incident.action_succeeded",
            "incident.resolved",
        ]
        assert {entry.correlation_id for entry in found} == {incident.correlation_id}


@pytest.mark.ledger("S4-035")
def test_steps_that_may_not_follow_are_refused(desk: Desk) -> None:
    steps, billing = desk.flow(), desk.told()
    row = steps.ingest(billing).incident
    steps.analyse(row.id)
    with pytest.raises(IllegalStep):
        steps.analyse(row.id)
    action = steps.plan(row.id, action_type="retry")
    with pytest.raises(IllegalStep):
        steps.succeed(action.id)
    steps.start(action.id)
    with pytest.raises(IllegalStep):
        steps.start(action.id)
    steps.ignore(row.id)
    with pytest.raises(IllegalStep):
        steps.plan(row.id, action_type="retry")
    steps.decide(row.id, **DECIDED)
    steps.resolve(row.id)
    for step in (lambda: steps.decide(row.id, **DECIDED), lambda: steps.plan(row.id, action_type="retry")):
        with pytest.raises(IllegalStep):
            step()
    with pytest.raises(ValueError, match="dance"):
        steps.plan(row.id, action_type="dance")


@pytest.mark.ledger("S4-035")
def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    steps, missing = desk.flow(), uuid.uuid4()
    row, other = steps.ingest(desk.told()).incident, steps.ingest(desk.told(event_type="mail.failed")).incident
    decision = steps.decide(other.id, **DECIDED)
    for ask in (
        lambda: steps.ingest(desk.told(workflow_id=missing)),
        lambda: steps.analyse(missing),
        lambda: steps.decide(missing, **DECIDED),
        lambda: steps.plan(row.id, action_type="retry", decision_id=decision.id),
        lambda: steps.plan(row.id, action_type="retry", decision_id=missing),
        lambda: steps.start(missing),
        lambda: steps.succeed(missing),
    ):
        with pytest.raises(RecordNotFound):
            ask()


@pytest.mark.ledger("S4-035")
def test_the_neighbours_rows_are_not_found(ground: Ground, place: Place) -> None:
    theirs = Units(ground, place, "rival")
    with ground.session(place, "rival") as rival:
        told, tenant = rival.told(), rival.tenant_id
    incident = theirs.ingest(told).incident
    action = theirs.plan(incident.id, action_type="retry")
    with ground.session(place) as desk:
        steps = desk.flow()
        for ask in (
            lambda: steps.ingest(told),
            lambda: steps.analyse(incident.id),
            lambda: steps.decide(incident.id, **DECIDED),
            lambda: steps.start(action.id),
        ):
            with pytest.raises(RecordNotFound):
                ask()
        with pytest.raises(CrossTenant):
            steps.ingest(desk.told(tenant_id=tenant))


@pytest.mark.ledger("S4-041")
def test_what_is_stopped_takes_no_events_and_starts_nothing(desk: Desk) -> None:
    steps, billing, switches = desk.flow(), desk.billing(), desk.repository("KillSwitch")
    action = steps.plan(steps.ingest(desk.told()).incident.id, action_type="retry")
    switches.activate(workflow_id=billing.id, reason="loops")
    for ask in (lambda: steps.ingest(desk.told()), lambda: steps.start(action.id)):
        with pytest.raises(KillSwitchActive, match="loops"):
            ask()
    switches.deactivate(workflow_id=billing.id)
    switches.activate(reason="breach")
    with pytest.raises(KillSwitchActive, match="breach"):
        steps.ingest(desk.told())
    switches.deactivate()
    assert steps.start(action.id).status == "IN_PROGRESS"
    with pytest.raises(WorkflowInactive, match="old"):
        steps.ingest(desk.told(workflow_id=desk.repository("Workflow").get_by_name("old").id))


@pytest.mark.ledger("S4-035")
def test_the_steps_can_look_for_failures_in_another_way(ground: Ground, place: Place) -> None:
    odd = pack.Incidents(ground.pack(place).tenancy, detects=lambda kind, payload: payload.get("odd", False))
    with ground.session(place) as desk:
        told = desk.told(payload={"odd": True}, event_type="payment.captured")
        found = desk.run(lambda session: odd.flow.ingest(session, told))
        assert found.incident.title == "payment.captured"


@pytest.mark.ledger("S4-030")
def test_services_go_through_repositories() -> None:
    for module in (flow, flow_aio, pack, pack_aio):
        text = inspect.getsource(module)
        assert not [word for word in ("session.execute", "session.scalars", "session.query", "text(") if word in text]


@pytest.mark.ledger("S4-035")
def test_both_doors_have_the_same_steps() -> None:
    steps = {name for name in vars(flow.Flow) if not name.startswith("_")} - {"aio"}
    assert steps <= set(vars(flow_aio.AsyncFlow))
    assert steps <= set(vars(pack.Incidents))
    assert steps <= set(vars(pack_aio.AsyncIncidents))


@pytest.mark.ledger("S4-035")
def test_the_models_lead_to_one_another(desk: Desk) -> None:
    steps = desk.flow()
    row = steps.ingest(desk.told()).incident
    decision = steps.decide(row.id, **DECIDED)
    action = steps.plan(row.id, action_type="retry", decision_id=decision.id)

    def work(session: Any) -> None:
        session.expire_all()
        found = session.get(Incident, row.id)
        assert ([*found.decisions], [*found.actions]) == ([decision], [action])
        assert (action.decision, decision.incident, found.workflow.name) == (decision, found, "billing")
        event = session.scalars(select(Event).filter_by(occurred_at=MORNING)).first()
        assert isinstance(event.workflow, Workflow)
        assert {type(found) for found in (action, decision)} == {Action, Decision}

    desk.run(work)


@pytest.mark.ledger("S4-035")
@pytest.mark.parametrize("cell", ["postgresql-rows", "sqlite-file"])
def test_of_two_who_start_an_action_one_may_go_on(ground: Ground, cell: str) -> None:
    units = Units(ground, Place(cell, "sync"))
    action = units.plan(units.ingest(failed(units)).incident.id, action_type="retry")

    def start(_: int) -> str:
        try:
            return str(units.start(action.id).status)
        except IllegalStep:
            return "too late"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(start, range(4))) == ["IN_PROGRESS", *["too late"] * 3]


@pytest.mark.ledger("S4-035")
def test_a_tenancy_that_nobody_holds_goes_with_its_behaviours(tmp_path: Path) -> None:
    made = pack.Incidents(Tenancy(f"sqlite:///{tmp_path}", models=IncidentsBase))
    assert pack.Incidents(made.tenancy).audit is made.audit
    gone = weakref.ref(made.tenancy)
    del made
    gc.collect()
    assert gone() is None
