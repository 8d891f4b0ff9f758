"""Notes on their way to CRMs: the outbox hands them over, outside any transaction, until the CRM has taken them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tenantry.audit import Audit
from tenantry.errors import ConfigurationError, NoteFailed
from tenantry.models.columns import utc_now
from tenantry.outbox import Event, Outbox
from tenantry.packs.meetings.lifecycles import CRM_SYNC
from tenantry.packs.meetings.models import CRMConnection
from tenantry.packs.meetings.sessions import MeetingSession
from tenantry.packs.meetings.words import ConnectionStatus, CRMSyncStatus
from tenantry.secrets import Secret, Secrets
from tenantry.session.core import TenantSession
from tenantry.tenancy import Tenancy

TOPIC: Final = "crm.note"
_LONGEST_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Note:
    """What a CRM is to write down; *key* is the same each time a note is handed over, for those who know duplicates."""

    key: uuid.UUID
    account_id: str | None
    deal_id: str | None
    title: str | None
    body: str
    credentials: Secret
    settings: Mapping[str, Any]


class CRM(Protocol):
    """Writes notes to one kind of CRM."""

    def write_note(self, note: Note) -> str:
        """Returns what the CRM calls the note."""


class Notes:
    """Hands notes to CRMs and writes down what became of them."""

    def __init__(self, tenancy: Tenancy, *, audit: Audit, crms: dict[str, CRM], secrets: Secrets) -> None:
        self._tenancy = tenancy
        self._audit = audit
        self._secrets = secrets
        self.crms = crms

    def take_from(self, outbox: Outbox) -> None:
        """Takes the events of its topic."""
        outbox.handler(TOPIC)(self.deliver)

    def deliver(self, event: Event) -> None:
        """Hands one note over; what the CRM raises is written down, and raised for the outbox to try again.

        Raises: ConfigurationError for a provider without a CRM, NoteFailed for an error that holds the credentials, and
        whatever else the CRM raises.
        """
        meeting_id = uuid.UUID(event.payload["meeting_session_id"])
        waiting = self._waiting(event, meeting_id)
        if waiting is None:
            return
        provider, note = waiting
        try:
            note_id = self._crm(provider).write_note(note)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            told = note.credentials.hidden_in(said)
            self._write(event, meeting_id, error=told[:_LONGEST_ERROR])
            if told == said:
                raise
            # The outbox keeps what is raised, and whoever logs it shows what it came from.
            raise NoteFailed(provider=provider, error=told) from None
        self._write(event, meeting_id, note_id=note_id)

    def _crm(self, provider: str) -> CRM:
        if provider not in self.crms:
            raise ConfigurationError(
                what=f"Nobody writes notes to {provider}.", fix=f"Pass Meetings(tenancy, crms={{{provider!r}: …}})."
            )
        return self.crms[provider]

    def _waiting(self, event: Event, meeting_id: uuid.UUID) -> tuple[str, Note] | None:
        """Returns the note and whose it is, unless it was written, or its meeting or connection is gone or revoked."""
        with self._tenancy.session(event.tenant, read_only=True) as session:
            meeting = session.get(MeetingSession, meeting_id)
            if meeting is None or meeting.crm_sync_status == CRMSyncStatus.SYNCED:
                return None
            connection = meeting.crm_connection
            if connection is None or connection.is_deleted or connection.status == ConnectionStatus.REVOKED:
                return None
            return connection.provider_type, self._note(event, meeting, connection)

    def _note(self, event: Event, meeting: MeetingSession, connection: CRMConnection) -> Note:
        credentials = self._secrets.get(connection.credentials_secret_id, whose="The credentials of a CRM")
        return Note(
            event.id,
            meeting.crm_account_id,
            meeting.crm_deal_id,
            meeting.title,
            meeting.ai_summary or "",
            credentials,
            dict(connection.settings),
        )

    def _write(
        self, event: Event, meeting_id: uuid.UUID, *, note_id: str | None = None, error: str | None = None
    ) -> None:
        with self._tenancy.transaction(event.tenant) as session:
            meeting = session.get(MeetingSession, meeting_id)
            if meeting is not None:
                self._write_meeting(session, meeting, note_id=note_id, error=error)

    def _write_meeting(
        self, session: TenantSession, meeting: MeetingSession, *, note_id: str | None, error: str | None
    ) -> None:
        if error is None:
            CRM_SYNC.take(meeting, CRMSyncStatus.SYNCED, crm_note_id=note_id)
        elif meeting.crm_sync_status != CRMSyncStatus.FAILED:
            CRM_SYNC.take(meeting, CRMSyncStatus.FAILED)
        if meeting.crm_connection is not None:
            meeting.crm_connection.last_error = error
            meeting.crm_connection.last_sync_at = utc_now()
        self._audit.record(
            session,
            event_type="crm.note.created" if error is None else "crm.note.failed",
            category="integration",
            description="Wrote a note to the CRM" if error is None else "The CRM took no note",
            status="success" if error is None else "failure",
            resource=("meeting_session", meeting.id),
            details=None if error is None else {"error_message": error},
        )
