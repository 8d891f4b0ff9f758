"""The repositories of the meetings over a tenant's session; ``aio`` has their awaited faces."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping

from sqlalchemy import func, select

from tenantry.models.columns import utc_now
from tenantry.packs.meetings.kept import APIRateLimit, AuditLog
from tenantry.packs.meetings.models import CRMConnection, Tenant, User
from tenantry.packs.meetings.sessions import AccountMapping, MeetingSession, normalise_domain
from tenantry.repository import ReadRepository, Repository

MONTH = datetime.timedelta(days=30)


class TenantRepository(Repository[Tenant]):
    """The tenant's own workspace."""

    def get_own(self) -> Tenant | None:
        """Returns the workspace of this tenant, or None while it has none."""
        return self.find()

    def get_by_slack_team_id(self, slack_team_id: str) -> Tenant | None:
        """Returns the workspace if Slack calls it so, or None."""
        return self.find(slack_team_id=slack_team_id)

    def stats(self, *, now: datetime.datetime | None = None) -> Mapping[str, int]:
        """Returns how many users, CRM connections, meetings and account mappings there are; deleted ones do not count.

        A month is the last thirty days.
        """
        recent = MeetingSession.created_at >= (now or utc_now()) - MONTH
        return {
            "users": self._number(User),
            "crm_connections": self._number(CRMConnection),
            "meetings_total": self._number(MeetingSession),
            "meetings_this_month": self._number(MeetingSession, recent),
            "account_mappings": self._number(AccountMapping),
        }

    def _number(self, model: type, *where: object) -> int:
        return self.session.scalar(select(func.count()).select_from(model).where(*where)) or 0  # type: ignore[arg-type]  # conditions


class UserRepository(Repository[User]):
    """The people of the workspace."""

    def get_by_slack_user_id(self, slack_user_id: str) -> User | None:
        """Returns the user whom Slack calls so, or None."""
        return self.find(slack_user_id=slack_user_id)

    def get_by_email(self, email: str) -> User | None:
        """Returns the user with this address, whatever its case, or None."""
        return self.find(func.lower(User.slack_email) == email.strip().lower())

    def get_active(self, *, role: str | None = None) -> list[User]:
        """Returns the users who may come in, all or those of one role."""
        wanted = [] if role is None else [User.role == role]
        return self.list(*wanted, is_active=True, order_by="created_at")


class CRMConnectionRepository(Repository[CRMConnection]):
    """The workspace's connections to CRMs."""

    def get_default(self) -> CRMConnection | None:
        """Returns the connection that is used where none is named, or None."""
        return self.find(is_default=True)

    def get_by_provider(self, provider_type: str) -> list[CRMConnection]:
        """Returns the connections to one kind of CRM."""
        return self.list(provider_type=provider_type, order_by="created_at")

    def get_expiring(self, before: datetime.datetime) -> list[CRMConnection]:
        """Returns the working connections whose token expires before a time, the first to expire in front."""
        return self.list(CRMConnection.token_expires_at < before, status="active", order_by="token_expires_at")


class MeetingSessionRepository(Repository[MeetingSession]):
    """The workspace's meetings; lists come with the latest first."""

    def get_recent(self, days: int = 30, limit: int = 50) -> list[MeetingSession]:
        """Returns the meetings of the last days.

        Raises: InvalidPage for a limit below 0.
        """
        return self.list(MeetingSession.created_at >= _ago(days), order_by="-created_at", limit=limit)

    def get_user_sessions(self, user_id: uuid.UUID, limit: int = 50, days: int = 30) -> list[MeetingSession]:
        """Returns the user's meetings of the last days."""
        return MeetingSession.get_user_sessions(self.session, user_id, limit=limit, days=days)

    def get_by_fathom_id(self, fathom_meeting_id: str) -> MeetingSession | None:
        """Returns the meeting that Fathom calls so, or None."""
        return self.find(fathom_meeting_id=fathom_meeting_id)

    def get_by_status(self, processing_status: str, limit: int = 50) -> list[MeetingSession]:
        """Returns the meetings whose processing has come so far, the oldest first.

        Raises: InvalidPage for a limit below 0.
        """
        return self.list(processing_status=processing_status, order_by="created_at", limit=limit)

    def get_unsynced(self, limit: int = 50) -> list[MeetingSession]:
        """Returns the processed meetings of which no CRM has a note, the oldest first.

        Raises: InvalidPage for a limit below 0.
        """
        wanted = {"processing_status": "completed", "crm_sync_status": ["none", "failed"]}
        return self.query().filter_by(**wanted).order_by("created_at").limit(limit).all()

    def search(self, query: str, limit: int = 50) -> list[MeetingSession]:
        """Returns the meetings whose title or summary holds *query*, whatever its case.

        Raises: InvalidPage for a limit below 0.
        """
        return self.query().search(query, ["title", "ai_summary"]).order_by("-created_at").limit(limit).all()


class AccountMappingRepository(Repository[AccountMapping]):
    """What is known of which domain belongs to which account."""

    def get_by_domain(
        self, crm_connection_id: uuid.UUID, email_domain: str, *, verified_only: bool = False
    ) -> AccountMapping | None:
        """Returns what is known of a domain, or of an address's, in one CRM, or None."""
        wanted = {"is_verified": True} if verified_only else {}
        domain = normalise_domain(email_domain)
        return self.find(crm_connection_id=crm_connection_id, email_domain=domain, **wanted) if domain else None

    def get_unverified(self, limit: int = 50) -> list[AccountMapping]:
        """Returns what nobody has confirmed yet, the most doubtful first.

        Raises: InvalidPage for a limit below 0.
        """
        return self.list(is_verified=False, order_by="confidence", limit=limit)


class AuditLogRepository(ReadRepository[AuditLog]):
    """What was done in the workspace, as far as it is committed."""

    def get_by_resource(self, resource_type: str, resource_id: object, limit: int = 100) -> list[AuditLog]:
        """Returns what was done to one thing, the latest first.

        Raises: InvalidPage for a limit below 0.
        """
        wanted = {"resource_type": resource_type, "resource_id": str(resource_id)}
        return self.query().filter_by(**wanted).order_by("-seq").limit(limit).all()


class APIRateLimitRepository(ReadRepository[APIRateLimit]):
    """How far the workspace's limits are used."""

    def get_by_resource(self, resource_type: str) -> list[APIRateLimit]:
        """Returns the rows of one resource, one for each kind of limit it has been asked with."""
        return self.list(resource_type=resource_type)


def _ago(days: int) -> datetime.datetime:
    return utc_now() - datetime.timedelta(days=days)
