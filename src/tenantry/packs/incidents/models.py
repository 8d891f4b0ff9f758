"""The tables of incidents: tenants, their workflows and events, what went wrong, and what was done about it."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from tenantry.idempotency import Idempotent
from tenantry.limits.kill_switches import WHOLE_TENANT
from tenantry.models import AppendOnly, Lifecycle, Platform, TenantRecord
from tenantry.models.behaviours import BEHAVIOUR
from tenantry.models.columns import utc_now
from tenantry.packs.incidents.base import BaseModel, CorrelationMixin, TenantMixin, in_utc
from tenantry.packs.incidents.states import (
    OVER,
    ActionStatus,
    ActionType,
    CircuitState,
    IncidentStatus,
    Severity,
    one_of,
)

STANDING = text(f"status <> '{OVER}'")


class Tenant(BaseModel, TenantRecord):
    """The tenant itself: an organization whose workflows are watched."""

    __tablename__ = "tenants"
    # Each tenant's rows refer to it by the column that all of them have.
    __table_args__ = (UniqueConstraint("tenant_id", name="uq_tenants_tenant_id"),)

    name: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Workflow(BaseModel, TenantMixin):
    """A workflow that events come from."""

    __tablename__ = "workflows"
    __table_args__ = (UniqueConstraint("name", name="uq_workflows_name"),)

    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    is_active: Mapped[bool] = mapped_column(default=True)


class Vendor(BaseModel, Platform):
    """An outside service that actions call: the platform's, with how it stood when it was called last."""

    __tablename__ = "vendors"
    __table_args__ = (
        UniqueConstraint("name", name="uq_vendors_name"),
        one_of(CircuitState, table="vendors", column="circuit_breaker_state"),
        CheckConstraint("circuit_breaker_failure_count >= 0", name="ck_vendors_failure_count"),
        CheckConstraint("rate_limit_per_minute > 0", name="ck_vendors_rate_limit"),
        CheckConstraint(
            "failure_threshold > 0 AND recovery_timeout_s > 0 AND half_open_max_calls > 0", name="ck_vendors_policy"
        ),
    )

    name: Mapped[str] = mapped_column(String(255))
    circuit_breaker_state: Mapped[str] = mapped_column(String(20), default=CircuitState.CLOSED)
    circuit_breaker_failure_count: Mapped[int] = mapped_column(default=0)
    circuit_breaker_opened_at: Mapped[datetime.datetime | None]
    last_failure_at: Mapped[datetime.datetime | None]
    last_success_at: Mapped[datetime.datetime | None]
    rate_limit_per_minute: Mapped[int] = mapped_column(default=60)
    failure_threshold: Mapped[int] = mapped_column(default=5)
    recovery_timeout_s: Mapped[int] = mapped_column(default=60)
    half_open_max_calls: Mapped[int] = mapped_column(default=1)
    is_active: Mapped[bool] = mapped_column(default=True)
    config: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Event(AppendOnly, Idempotent, BaseModel, TenantMixin, CorrelationMixin):
    """Something that a workflow reported: written once, and never again under the same key."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("idempotency_key", name="uq_events_idempotency_key"),
        Index("ix_events_tenant_workflow", "workflow_id"),
        Index("ix_events_tenant_occurred", "occurred_at"),
    )

    workflow_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("workflows.id"))
    event_type: Mapped[str] = mapped_column(String(255))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    idempotency_key: Mapped[str] = mapped_column(String(255))
    occurred_at: Mapped[datetime.datetime]

    workflow: Mapped[Workflow] = relationship()

    @validates("occurred_at")
    def _in_utc(self, _: str, value: Any) -> Any:
        return in_utc(value)


class Incident(BaseModel, TenantMixin, CorrelationMixin):
    """A failure, told from others by its signature, with how often and when it was seen."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index("uq_incidents_signature", "signature", unique=True, postgresql_where=STANDING, sqlite_where=STANDING),
        Index("ix_incidents_tenant_status", "status"),
        Index("ix_incidents_created_at", "created_at"),
        one_of(IncidentStatus, table="incidents", column="status"),
        one_of(Severity, table="incidents", column="severity"),
        CheckConstraint("event_count > 0", name="ck_incidents_event_count"),
    )

    signature: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(500))
    status: Mapped[str] = mapped_column(String(20), default=IncidentStatus.NEW)
    severity: Mapped[str] = mapped_column(String(20), default=Severity.MEDIUM)
    event_count: Mapped[int] = mapped_column(default=1)
    first_seen_at: Mapped[datetime.datetime] = mapped_column(default=utc_now)
    last_seen_at: Mapped[datetime.datetime] = mapped_column(default=utc_now)
    workflow_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("workflows.id", ondelete="SET NULL"), index=True)
    # Names one of the platform's vendors, which stand where no tenant's key can lead.
    vendor_id: Mapped[uuid.UUID | None]
    resolved_at: Mapped[datetime.datetime | None]

    workflow: Mapped[Workflow | None] = relationship()
    decisions: Mapped[list[Decision]] = relationship(back_populates="incident", order_by="Decision.created_at")
    actions: Mapped[list[Action]] = relationship(back_populates="incident", order_by="Action.created_at")


class Decision(AppendOnly, BaseModel, TenantMixin):
    """What was decided about an incident, by which model, why and how surely: written once."""

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint("confidence_score >= 0 AND confidence_score <= 1", name="ck_decisions_confidence_score"),
    )

    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incidents.id"), index=True)
    decision_type: Mapped[str] = mapped_column(String(50))
    reasoning: Mapped[str] = mapped_column(Text)
    confidence_score: Mapped[float]
    ai_model: Mapped[str] = mapped_column(String(100))

    incident: Mapped[Incident] = relationship(back_populates="decisions")


class Action(BaseModel, TenantMixin):
    """Something done about an incident, and what came of it."""

    __tablename__ = "actions"
    __table_args__ = (
        Index("ix_actions_incident_status", "incident_id", "status"),
        one_of(ActionType, table="actions", column="action_type"),
        one_of(ActionStatus, table="actions", column="status"),
        CheckConstraint("attempt > 0", name="ck_actions_attempt"),
    )

    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incidents.id"))
    decision_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("decisions.id"), index=True)
    action_type: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20), default=ActionStatus.PENDING)
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    result: Mapped[dict[str, Any] | None]
    is_reversible: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=1)
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    incident: Mapped[Incident] = relationship(back_populates="actions")
    decision: Mapped[Decision | None] = relationship()


def _name_of_workflow(context: DefaultExecutionContext) -> str:
    return switch_name(_given(context).get("workflow_id"))


def _id_of_workflow(context: DefaultExecutionContext) -> uuid.UUID | None:
    name = _given(context).get("workflow") or WHOLE_TENANT
    return None if name == WHOLE_TENANT else uuid.UUID(name)


def _given(context: DefaultExecutionContext) -> dict[str, Any]:
    given: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it bare
    return given


class KillSwitch(BaseModel, TenantMixin):
    """Stops one workflow, or without one the whole tenant: the table in which ``limits.KillSwitches`` keeps its rows.

    There is one row for each, so two that are active at once there cannot be.
    """

    __tablename__ = "kill_switches"
    __table_args__ = (
        UniqueConstraint("workflow", name="uq_kill_switches_workflow"),
        Index("uq_kill_switches_workflow_id", "workflow_id", unique=True),
        Index("ix_kill_switches_tenant_active", "is_active"),
        CheckConstraint("is_active OR deactivated_at IS NOT NULL", name="ck_kill_switches_deactivated"),
        {"info": {BEHAVIOUR: "KillSwitches"}},
    )

    workflow_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("workflows.id", ondelete="CASCADE"), default=_id_of_workflow
    )
    # The same as text, never null: NULLs are distinct in a key.
    workflow: Mapped[str] = mapped_column(String(255), default=_name_of_workflow)
    is_active: Mapped[bool] = mapped_column(default=True)
    reason: Mapped[str] = mapped_column(Text)
    activated_by: Mapped[str | None] = mapped_column(String(255))
    activated_at: Mapped[datetime.datetime] = mapped_column(default=utc_now)
    deactivated_at: Mapped[datetime.datetime | None]
    deactivated_by: Mapped[str | None] = mapped_column(String(255))
    expires_at: Mapped[datetime.datetime | None]


def switch_name(workflow_id: uuid.UUID | None) -> str:
    """Returns what a kill switch calls a workflow, or the whole tenant."""
    return WHOLE_TENANT if workflow_id is None else str(workflow_id)


INCIDENTS = Lifecycle(
    Incident.status,
    {
        IncidentStatus.NEW: [
            IncidentStatus.ANALYZING,
            IncidentStatus.ACTIONED,
            IncidentStatus.RESOLVED,
            IncidentStatus.IGNORED,
        ],
        IncidentStatus.ANALYZING: [IncidentStatus.ACTIONED, IncidentStatus.RESOLVED, IncidentStatus.IGNORED],
        IncidentStatus.ACTIONED: [IncidentStatus.ANALYZING, IncidentStatus.RESOLVED, IncidentStatus.IGNORED],
        IncidentStatus.IGNORED: [IncidentStatus.ANALYZING, IncidentStatus.RESOLVED],
        IncidentStatus.RESOLVED: [],
    },
    first=[IncidentStatus.NEW],
    stamps={IncidentStatus.RESOLVED: "resolved_at"},
)

ACTIONS = Lifecycle(
    Action.status,
    {
        ActionStatus.PENDING: [ActionStatus.IN_PROGRESS, ActionStatus.FAILED],
        ActionStatus.IN_PROGRESS: [ActionStatus.SUCCEEDED, ActionStatus.FAILED],
        ActionStatus.SUCCEEDED: [],
        ActionStatus.FAILED: [],
    },
    first=[ActionStatus.PENDING],
    stamps={
        ActionStatus.IN_PROGRESS: "started_at",
        ActionStatus.SUCCEEDED: "finished_at",
        ActionStatus.FAILED: "finished_at",
    },
)
