"""The lists of incidents use the indexes that stand for them, and load what belongs to them in one statement more."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Select, select
from sqlalchemy.orm import selectinload

from tenantry.observe import count_statements, explain
from tenantry.packs.incidents import Action, Decision, Event, Incident
from tenantry.packs.incidents.rows import ActionRows, DecisionRows, EventRows, IncidentRows

from .cells import Ground, Place

# What each call searches by, in an index; where two would do, the planner's choice depends on the rows.
LISTS: dict[str, Callable[[Any], Any]] = {
    "idempotency_key=?": lambda db: EventRows(db).get_by_idempotency_key("k-1"),
    "workflow_id=?": lambda db: EventRows(db).count_events(None, uuid.uuid4()),
    "signature=?": lambda db: IncidentRows(db).get_by_signature("s-1"),
    "incident_id=?": lambda db: DecisionRows(db).get_by_incident(uuid.uuid4()),
    "incident_id=? AND status=?": lambda db: ActionRows(db).get_by_incident(uuid.uuid4(), status="PENDING"),
}


@pytest.mark.ledger("S4-039", "S4-038")
@pytest.mark.parametrize("by", LISTS)
def test_a_list_uses_its_index(ground: Ground, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ground.session(Place("sqlite-file", "sync")) as desk:
        sent: list[Select[Any]] = []
        execute = type(desk.session).execute
        monkeypatch.setattr(
            type(desk.session),
            "execute",
            lambda self, statement, *a, **k: (sent.append(statement), execute(self, statement, *a, **k))[1],
        )
        LISTS[by](desk.session)
        monkeypatch.undo()
        assert f"(tenant_id=? AND {by})" in str(explain(desk.session, sent[0]))
        # What the document calls bad looks at every row of the tenant.
        by_payload = select(Event).where(Event.payload["error_code"] == "timeout")
        assert str(explain(desk.session, by_payload)).endswith("(tenant_id=?)")


@pytest.mark.ledger("S4-039")
def test_what_belongs_to_incidents_comes_in_one_statement_more_each(ground: Ground) -> None:
    with ground.session(Place("sqlite-file", "sync")) as desk:
        for row in desk.session.scalars(select(Incident)).all():
            known = {"decision_type": "x", "reasoning": "x", "confidence_score": 1, "ai_model": "x"}
            desk.session.add_all([Decision(incident=row, **known), Action(incident=row, action_type="retry")])
        desk.session.flush()
        desk.session.expunge_all()
        options = [selectinload(Incident.decisions), selectinload(Incident.actions)]
        with count_statements(desk.session, at_most=3):
            found = IncidentRows(desk.session, options=options).list()
            assert [(len(row.decisions), len(row.actions)) for row in found] == [(1, 1)] * 3
