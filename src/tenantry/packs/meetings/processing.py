"""A meeting's way: received, processed, and its note handed to the CRM."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tenantry.audit import Audit
from tenantry.errors import CRMConnectionMissing, RecordNotFound, SubscriptionInactive
from tenantry.limits import Rates
from tenantry.outbox import Outbox
from tenantry.packs.meetings.crm import TOPIC
from tenantry.packs.meetings.lifecycles import CRM_SYNC, PROCESSING
from tenantry.packs.meetings.models import CRMConnection, Tenant
from tenantry.packs.meetings.plans import MEETINGS_PROCESSED, PLANS
from tenantry.packs.meetings.repositories import CRMConnectionRepository, MeetingSessionRepository
from tenantry.packs.meetings.sessions import MeetingSession
from tenantry.packs.meetings.words import ConnectionStatus, CRMSyncStatus, ProcessingStatus, SubscriptionStatus
from tenantry.session.core import TenantSession
from tenantry.usage import Usage

_PAYING: Final = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a language model made of a meeting, and what that took."""

    ai_summary: str
    action_items: list[Any] = field(default_factory=list)
    key_points: list[Any] = field(default_factory=list)
    sentiment: str | None = None
    ai_model: str = "unknown"
    provider: str = "unknown"
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Processing:
    """The steps of a meeting; each is refused where it may not follow, and of two callers at once one takes it."""

    def __init__(self, audit: Audit, *, rates: Rates, usage: Usage, outbox: Outbox) -> None:
        self._audit = audit
        self._rates = rates
        self._usage = usage
        self._outbox = outbox

    def receive(
        self, session: TenantSession, values: Mapping[str, Any] | None = None, /, **more: Any
    ) -> MeetingSession:
        """Returns the meeting, new or, where Fathom tells of it once more or twice at once, the one that there is.

        Raises: UnknownField, CrossTenant, sqlalchemy.exc.IntegrityError for a user or connection that is not there.
        """
        given = {**(values or {}), **more}
        meetings = MeetingSessionRepository(session)
        fathom_id = given.get("fathom_meeting_id")
        if not fathom_id:
            return meetings.create(given)
        known = meetings.get_by_fathom_id(fathom_id)
        return known or self._receive_first(session, meetings, given)

    def _receive_first(
        self, session: TenantSession, meetings: MeetingSessionRepository, given: Mapping[str, Any]
    ) -> MeetingSession:
        try:
            with session.begin_nested():
                return meetings.create(given)
        except IntegrityError:
            # Another was first, unless it is something else that does not fit.
            found = meetings.get_by_fathom_id(given["fathom_meeting_id"])
            if found is None:
                raise
            return found

    def start(self, session: TenantSession, meeting_id: uuid.UUID) -> MeetingSession:
        """Returns the meeting, being processed from now on, and takes one from what the plan allows in a day.

        Raises: IllegalStep, RateLimited, SubscriptionInactive, RecordNotFound.
        """
        meeting = MeetingSessionRepository(session).get_one(meeting_id)
        workspace = _workspace(session)
        if workspace.subscription_status not in _PAYING:
            raise SubscriptionInactive(status=workspace.subscription_status)
        PROCESSING.take(meeting, ProcessingStatus.PROCESSING, processing_error=None)
        self._rates.consume_or_raise(session, MEETINGS_PROCESSED, limit=PLANS[workspace.plan_tier].meetings)
        return meeting

    def complete(self, session: TenantSession, meeting_id: uuid.UUID, findings: Findings) -> MeetingSession:
        """Returns the meeting with what was found, and records the tokens that took.

        Raises: IllegalStep, BudgetExceeded, RecordNotFound.
        """
        meeting = MeetingSessionRepository(session).get_one(meeting_id)
        used = {"prompt_tokens": findings.prompt_tokens, "completion_tokens": findings.completion_tokens}
        PROCESSING.take(
            meeting,
            ProcessingStatus.COMPLETED,
            ai_summary=findings.ai_summary,
            action_items=findings.action_items,
            key_points=findings.key_points,
            sentiment=findings.sentiment,
            ai_model=findings.ai_model,
            tokens_used=sum(used.values()),
        )
        if any(used.values()):
            call = {"provider": findings.provider, "model": findings.ai_model, "operation_id": str(meeting.id)}
            self._usage.record(session, operation="meeting", user_id=meeting.user_id, **call, **used)  # type: ignore[arg-type]  # texts and numbers
        self._note(session, meeting, "meeting.processed", "Processed a meeting")
        return meeting

    def fail(self, session: TenantSession, meeting_id: uuid.UUID, error: str) -> MeetingSession:
        """Returns the meeting as failed, with what went wrong.

        Raises: IllegalStep, RecordNotFound.
        """
        meeting = MeetingSessionRepository(session).get_one(meeting_id)
        PROCESSING.take(meeting, ProcessingStatus.FAILED, processing_error=error)
        self._note(session, meeting, "meeting.failed", "Processing a meeting failed", status="failure")
        return meeting

    def retry(self, session: TenantSession, meeting_id: uuid.UUID) -> MeetingSession:
        """Returns the meeting, to be processed again.

        Raises: IllegalStep for one that did not fail, RecordNotFound.
        """
        meeting = MeetingSessionRepository(session).get_one(meeting_id)
        PROCESSING.take(meeting, ProcessingStatus.PENDING)
        return meeting

    def hand_over(
        self, session: TenantSession, meeting_id: uuid.UUID, *, crm_connection_id: uuid.UUID | None = None
    ) -> MeetingSession:
        """Returns the meeting, whose note goes to the CRM, the default unless named, once this is committed.

        Raises: IllegalStep for one that goes already, CRMConnectionMissing, RecordNotFound, also for one unprocessed.
        """
        meeting = MeetingSessionRepository(session).one(id=meeting_id, processing_status=ProcessingStatus.COMPLETED)
        connection = _working(session, crm_connection_id)
        CRM_SYNC.take(meeting, CRMSyncStatus.PENDING, crm_connection_id=connection.id)
        self._outbox.add(session, TOPIC, {"meeting_session_id": str(meeting.id)}, key=str(meeting.id))
        self._note(session, meeting, "crm.note.requested", f"Handed a note to {connection.provider_type}")
        return meeting

    def _note(
        self, session: TenantSession, about: MeetingSession, kind: str, text: str, *, status: str = "success"
    ) -> None:
        self._audit.record(
            session,
            event_type=kind,
            category="integration",
            description=text,
            status=status,
            resource=("meeting_session", about.id),
        )


def _workspace(session: TenantSession) -> Tenant:
    found = session.scalars(select(Tenant)).first()
    if found is None:
        raise RecordNotFound(model="Tenant")
    return found


def _working(session: TenantSession, connection_id: uuid.UUID | None) -> CRMConnection:
    connections = CRMConnectionRepository(session)
    if connection_id is not None:
        found: CRMConnection | None = connections.get_one(connection_id)
    else:
        found = connections.get_default()
    if found is None or found.status != ConnectionStatus.ACTIVE:
        raise CRMConnectionMissing
    return found
