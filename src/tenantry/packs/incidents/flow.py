"""From an event to an outcome: each step in a session that is given, through repositories; none commits."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tenantry.errors import RecordNotFound, WorkflowInactive
from tenantry.packs.incidents.behaviours import Behaviours
from tenantry.packs.incidents.models import Action, Decision, Event, Incident, Workflow, switch_name
from tenantry.packs.incidents.rows import ActionRows, DecisionRows, EventRows, IncidentRows, Rows, WorkflowRows
from tenantry.packs.incidents.signatures import is_failure, signature_of
from tenantry.packs.incidents.states import ActionStatus, ActionType, IncidentStatus
from tenantry.session.core import TenantSession

if TYPE_CHECKING:
    from tenantry.packs.incidents.flow_aio import AsyncFlow

T = TypeVar("T")

Detects = Callable[[str, Mapping[str, Any]], bool]

_SHORT: Final = 500
# What a model looks at again when there is something new to be decided.
_AT_REST: Final = (IncidentStatus.NEW, IncidentStatus.IGNORED, IncidentStatus.RESOLVED)
_UNDER_WAY: Final = (ActionStatus.PENDING, ActionStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of an event: the incident that it belongs to, if it tells of a failure, and whether it was new."""

    event: Event
    incident: Incident | None
    new: bool


class Flow:
    """The steps from an event to an outcome, for a tenant's session; whoever opened that commits them together.

    *detects* says, by an event's type and payload, whether it tells of a failure.
    """

    def __init__(self, behaviours: Behaviours, *, detects: Detects = is_failure) -> None:
        self._behaviours = behaviours
        self._detects = detects

    def __repr__(self) -> str:
        return f"<Flow of {self._behaviours.tenancy!r}>"

    @functools.cached_property
    def aio(self) -> AsyncFlow:
        """The same, for an async session.

        Raises: ExtraMissing without greenlet.
        """
        from tenantry.packs.incidents.flow_aio import AsyncFlow  # noqa: PLC0415  # needs greenlet

        return AsyncFlow(self)

    def ingest(self, session: TenantSession, data: Mapping[str, Any]) -> Ingested:
        """Takes an event, and counts it on its incident if it tells of a failure; sent again, it changes nothing.

        Raises: KillSwitchActive, RecordNotFound and WorkflowInactive for its workflow, IdempotencyConflict.
        """
        workflow = self._workflow(session, data["workflow_id"])
        event, new = EventRows(session).record(data)
        if not new or not self._detects(event.event_type, event.payload):
            return Ingested(event, None if new else self._incident_of(session, event), new)
        incident = IncidentRows(session).create_from_event(event)
        if incident.event_count == 1:
            self._note(session, "incident.opened", incident, f"{incident.title} in {workflow.name}")
        return Ingested(event, incident, new)

    def analyse(self, session: TenantSession, incident_id: uuid.UUID) -> Incident:
        """Takes an incident up, so that something can be decided about it.

        Raises: RecordNotFound, IllegalStep for one that is taken up or resolved.
        """
        return self._step(session, incident_id, IncidentStatus.ANALYZING)

    def decide(
        self,
        session: TenantSession,
        incident_id: uuid.UUID,
        *,
        decision_type: str,
        reasoning: str,
        confidence_score: float,
        ai_model: str,
    ) -> Decision:
        """Keeps what was decided about an incident, for good, and takes that up if nobody has.

        Raises: RecordNotFound, IllegalStep for one that is resolved.
        """
        incident = one(IncidentRows(session), incident_id)
        if incident.status in _AT_REST:
            IncidentRows(session).take(incident, IncidentStatus.ANALYZING)
        told = {"decision_type": decision_type, "reasoning": reasoning, "ai_model": ai_model}
        made = DecisionRows(session).create(incident=incident, confidence_score=confidence_score, **told)
        self._note(session, "incident.decided", incident, f"{decision_type}: {reasoning}", decision=str(made.id))
        return made

    def plan(
        self,
        session: TenantSession,
        incident_id: uuid.UUID,
        *,
        action_type: ActionType | str,
        parameters: Mapping[str, Any] | None = None,
        decision_id: uuid.UUID | None = None,
        is_reversible: bool = False,
    ) -> Action:
        """Adds an action to an incident, to be started; it says which attempt of its kind it is.

        Raises: RecordNotFound, for a decision about another incident too; IllegalStep for an incident that is resolved
            or that nobody has taken up again since it was ignored; ValueError for a kind that there is not.
        """
        kind = ActionType(action_type)
        incident, actions = one(IncidentRows(session), incident_id), ActionRows(session)
        if decision_id is not None and one(DecisionRows(session), decision_id).incident_id != incident.id:
            raise RecordNotFound(model="Decision")
        if incident.status != IncidentStatus.ACTIONED:
            IncidentRows(session).take(incident, IncidentStatus.ACTIONED)
        before = [action for action in actions.get_by_incident(incident.id) if action.action_type == kind]
        made = actions.create(
            incident=incident,
            decision_id=decision_id,
            action_type=kind,
            parameters=dict(parameters or {}),
            is_reversible=is_reversible,
            attempt=len(before) + 1,
        )
        self._note(session, "incident.action_planned", incident, f"{kind}, attempt {made.attempt}", action=str(made.id))
        return made

    def start(self, session: TenantSession, action_id: uuid.UUID) -> Action:
        """Starts an action that waits; of two who do, one may go on.

        Raises: RecordNotFound, IllegalStep, KillSwitchActive for its workflow.
        """
        action = one(ActionRows(session), action_id)
        self._guard(session, action.incident.workflow_id)
        return ActionRows(session).take(action, ActionStatus.IN_PROGRESS)

    def succeed(
        self, session: TenantSession, action_id: uuid.UUID, *, result: Mapping[str, Any] | None = None
    ) -> Action:
        """Ends an action well; the incident is resolved when nothing else is under way for it.

        Raises: RecordNotFound, IllegalStep for one that is not under way.
        """
        action = self._end(session, action_id, ActionStatus.SUCCEEDED, result=dict(result or {}))
        self._settle(session, action, IncidentStatus.RESOLVED)
        return action

    def fail(
        self, session: TenantSession, action_id: uuid.UUID, *, error: str, result: Mapping[str, Any] | None = None
    ) -> Action:
        """Ends an action badly; the incident is looked at again when nothing else is under way for it.

        Raises: RecordNotFound, IllegalStep for one that has ended.
        """
        action = self._end(session, action_id, ActionStatus.FAILED, error=error, result=dict(result or {}))
        self._settle(session, action, IncidentStatus.ANALYZING)
        return action

    def resolve(self, session: TenantSession, incident_id: uuid.UUID) -> Incident:
        """Closes an incident: what has its signature from now on raises a new one.

        Raises: RecordNotFound, IllegalStep.
        """
        return self._step(session, incident_id, IncidentStatus.RESOLVED)

    def ignore(self, session: TenantSession, incident_id: uuid.UUID) -> Incident:
        """Leaves an incident alone: what has its signature is counted on it, and raises no new one.

        Raises: RecordNotFound, IllegalStep.
        """
        return self._step(session, incident_id, IncidentStatus.IGNORED)

    def _step(self, session: TenantSession, incident_id: uuid.UUID, status: IncidentStatus) -> Incident:
        incident = IncidentRows(session).take(one(IncidentRows(session), incident_id), status)
        self._note(session, f"incident.{status.lower()}", incident, incident.title)
        return incident

    def _end(self, session: TenantSession, action_id: uuid.UUID, status: ActionStatus, **told: Any) -> Action:
        action = ActionRows(session).take(one(ActionRows(session), action_id), status, **told)
        said = f"{action.action_type}, attempt {action.attempt}"
        self._note(session, f"incident.action_{status.lower()}", action.incident, said, action=str(action.id))
        return action

    def _settle(self, session: TenantSession, action: Action, status: IncidentStatus) -> None:
        others = ActionRows(session).get_by_incident(action.incident_id)
        if action.incident.status == IncidentStatus.ACTIONED and not any(each.status in _UNDER_WAY for each in others):
            self._step(session, action.incident_id, status)

    def _incident_of(self, session: TenantSession, event: Event) -> Incident | None:
        """Returns the incident that stands for an event that is sent again, if it told of a failure."""
        if not self._detects(event.event_type, event.payload):
            return None
        signature = signature_of(event.workflow_id, event.event_type, event.payload)
        return IncidentRows(session).get_by_signature(signature)

    def _workflow(self, session: TenantSession, workflow_id: uuid.UUID) -> Workflow:
        self._guard(session, workflow_id)
        workflow = one(WorkflowRows(session), workflow_id)
        if not workflow.is_active:
            raise WorkflowInactive(name=workflow.name)
        return workflow

    def _guard(self, session: TenantSession, workflow_id: uuid.UUID | None) -> None:
        named = None if workflow_id is None else switch_name(workflow_id)
        self._behaviours.switches.guard(session, workflow=named)

    def _note(self, session: TenantSession, event_type: str, incident: Incident, said: str, **details: str) -> None:
        self._behaviours.audit.record(
            session,
            event_type=event_type,
            category="incidents",
            description=said[:_SHORT],
            resource=("incident", incident.id),
            details=details,
            correlation_id=incident.correlation_id,
        )


def one(rows: Rows[T], row_id: uuid.UUID) -> T:
    """Returns the row.

    Raises: RecordNotFound for a missing row and one of another tenant alike.
    """
    found = rows.get_by_id(row_id)
    if found is None:
        raise RecordNotFound(model=rows.model.__name__)
    return found
