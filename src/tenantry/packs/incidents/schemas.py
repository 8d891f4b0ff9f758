"""What the HTTP routes of incidents take and give; a body holds nothing but what is named here."""

import datetime
import uuid
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tenantry.packs.incidents.states import ActionStatus, ActionType, CircuitState, IncidentStatus, Severity
from tenantry.web.bodies import Document, Text

M = TypeVar("M")

_WORKFLOW = "0192f0c1-7a55-7c3e-8a4e-2f6d3b1c9e10"


class Body(BaseModel):
    """A request's body: unknown names are refused, and whose a row is, is never among the known."""

    model_config = ConfigDict(extra="forbid")


class Row(BaseModel):
    """A row as it is given out."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    created_at: datetime.datetime


class Listed(BaseModel, Generic[M]):
    """A part of a list, and how long the whole is."""

    items: list[M]
    total: int
    limit: int
    offset: int


class WorkflowIn(Body):
    """A new workflow."""

    name: Text = Field(min_length=1, max_length=255, examples=["invoice-sync"])
    description: Text = Field("", max_length=10_000, examples=["Sends invoices to the ledger each night."])
    is_active: bool = True


class WorkflowChange(Body):
    """What changes of a workflow."""

    description: Text | None = Field(None, max_length=10_000)
    is_active: bool | None = Field(None, examples=[False])


class WorkflowOut(Row):
    """A workflow."""

    name: str
    description: str
    is_active: bool


class EventIn(Body):
    """Something that a workflow reports, under a key of its choice."""

    workflow_id: uuid.UUID = Field(examples=[_WORKFLOW])
    event_type: Text = Field(min_length=1, max_length=255, examples=["payment.failed"])
    payload: Document = Field(default_factory=dict, examples=[{"error_code": "card_declined", "amount": "12.50"}])
    idempotency_key: Text = Field(min_length=1, max_length=255, examples=["run-4711/step-3"])
    occurred_at: AwareDatetime = Field(examples=["2026-03-02T08:00:00Z"])
    correlation_id: Text | None = Field(None, min_length=1, max_length=128, examples=["run-4711"])


class EventOut(Row):
    """An event."""

    workflow_id: uuid.UUID
    event_type: str
    payload: dict[str, Any]
    idempotency_key: str
    occurred_at: datetime.datetime
    correlation_id: str


class IncidentOut(Row):
    """An incident."""

    signature: str
    title: str
    status: IncidentStatus
    severity: Severity
    event_count: int
    first_seen_at: datetime.datetime
    last_seen_at: datetime.datetime
    workflow_id: uuid.UUID | None
    resolved_at: datetime.datetime | None
    correlation_id: str


class IngestedOut(BaseModel):
    """What became of an event."""

    model_config = ConfigDict(from_attributes=True)

    event: EventOut
    incident: IncidentOut | None
    new: bool


class DecisionIn(Body):
    """What was decided about an incident."""

    decision_type: Text = Field(min_length=1, max_length=50, examples=["retry"])
    reasoning: Text = Field(min_length=1, max_length=10_000, examples=["The vendor says it was down for a minute."])
    confidence_score: float = Field(ge=0, le=1, examples=[0.92])
    ai_model: Text = Field(min_length=1, max_length=100, examples=["rules-1"])


class DecisionOut(Row):
    """A decision."""

    incident_id: uuid.UUID
    decision_type: str
    reasoning: str
    confidence_score: float
    ai_model: str


class ActionIn(Body):
    """What is to be done about an incident."""

    action_type: ActionType = Field(examples=["retry"])
    parameters: Document = Field(default_factory=dict, examples=[{"delay_seconds": 60}])
    decision_id: uuid.UUID | None = None
    is_reversible: bool = False


class ActionOut(Row):
    """An action."""

    incident_id: uuid.UUID
    decision_id: uuid.UUID | None
    action_type: ActionType
    status: ActionStatus
    parameters: dict[str, Any]
    result: dict[str, Any] | None
    is_reversible: bool
    attempt: int
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    error: str | None


class SuccessIn(Body):
    """How an action ended well."""

    result: Document = Field(default_factory=dict, examples=[{"charged": True}])


class FailureIn(Body):
    """How an action ended badly."""

    error: Text = Field(min_length=1, max_length=2_000, examples=["card_declined"])
    result: Document = Field(default_factory=dict)


class SwitchIn(Body):
    """What is to be stopped: a workflow, or without one everything."""

    reason: Text = Field(pattern=r"\S", max_length=2_000, examples=["The ledger gets every invoice twice."])
    workflow_id: uuid.UUID | None = Field(None, examples=[_WORKFLOW])
    seconds: float | None = Field(None, gt=0, le=31_536_000, examples=[3600])


class ReleaseIn(Body):
    """What is to go on."""

    workflow_id: uuid.UUID | None = None
    reason: Text | None = Field(None, max_length=2_000, examples=["mended"])


class SwitchOut(Row):
    """A kill switch."""

    workflow_id: uuid.UUID | None
    is_active: bool
    reason: str
    activated_by: str | None
    activated_at: datetime.datetime
    expires_at: datetime.datetime | None


class ReleasedOut(BaseModel):
    """Whether it was stopped."""

    released: bool


class VendorOut(BaseModel):
    """How a vendor stands for this tenant."""

    name: str
    state: CircuitState
    failures: int
    retry_after: float
    rate_limit_per_minute: int
