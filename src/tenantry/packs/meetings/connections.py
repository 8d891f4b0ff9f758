"""Connections to CRMs: made, chosen, tended, and cut."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import update

from tenantry.audit import Audit
from tenantry.packs.meetings.lifecycles import CONNECTION
from tenantry.packs.meetings.models import CRMConnection
from tenantry.packs.meetings.repositories import CRMConnectionRepository
from tenantry.packs.meetings.words import ConnectionStatus
from tenantry.session.core import TenantSession


class Connections:
    """What may be done with a workspace's connections to CRMs; each change is audited."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def connect(
        self, session: TenantSession, /, provider_type: str, credentials_secret_id: str, **values: Any
    ) -> CRMConnection:
        """Returns a new connection, the default if it is the first or asks to be.

        Raises: SecretRefused for credentials that are no reference, UnknownField, QuotaExceeded at the commit.
        """
        connections = CRMConnectionRepository(session)
        first = connections.get_default() is None
        chosen = bool(values.pop("is_default", False)) or first
        made = connections.create(
            provider_type=provider_type, credentials_secret_id=credentials_secret_id, is_default=first, **values
        )
        self._note(session, made, "crm.connected", f"Connected {provider_type}")
        return self.set_default(session, made.id) if chosen and not first else made

    def set_default(self, session: TenantSession, connection_id: uuid.UUID) -> CRMConnection:
        """Returns the connection, which is the default from now on, and the only one.

        Raises: RecordNotFound.
        """
        chosen = CRMConnectionRepository(session).get_one(connection_id)
        others = update(CRMConnection).where(CRMConnection.is_default, CRMConnection.id != chosen.id)
        session.execute(others.values(is_default=False))
        chosen.is_default = True
        session.flush()
        self._note(session, chosen, "crm.default_chosen", "Chose the default CRM")
        return chosen

    def mark(
        self, session: TenantSession, connection_id: uuid.UUID, status: str, *, error: str | None = None
    ) -> CRMConnection:
        """Returns the connection with its next status, and what went wrong.

        Raises: IllegalStep, RecordNotFound.
        """
        found = CRMConnectionRepository(session).get_one(connection_id)
        CONNECTION.take(found, status, last_error=error)
        works = status == ConnectionStatus.ACTIVE
        self._note(session, found, f"crm.{status}", "A connection changed", status="success" if works else "failure")
        return found

    def disconnect(self, session: TenantSession, connection_id: uuid.UUID) -> None:
        """Cuts a connection: revoked, and deleted with the accounts that were known by it; meetings keep their notes.

        Raises: RecordNotFound.
        """
        found = CRMConnectionRepository(session).get_one(connection_id)
        if found.status != ConnectionStatus.REVOKED:
            CONNECTION.take(found, ConnectionStatus.REVOKED, is_default=False)
        found.soft_delete()
        session.flush()
        self._note(session, found, "crm.disconnected", f"Disconnected {found.provider_type}")

    def _note(
        self, session: TenantSession, about: CRMConnection, kind: str, text: str, *, status: str = "success"
    ) -> None:
        self._audit.record(
            session,
            event_type=kind,
            category="integration",
            description=text,
            status=status,
            resource=("crm_connection", about.id),
        )
