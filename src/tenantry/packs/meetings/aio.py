"""The awaited faces: of the meetings' services, and of their repositories."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from tenantry.packs.meetings import repositories
from tenantry.packs.meetings.accounts import Accounts
from tenantry.packs.meetings.connections import Connections
from tenantry.packs.meetings.kept import APIRateLimit, AuditLog
from tenantry.packs.meetings.models import CRMConnection, Tenant, User
from tenantry.packs.meetings.pack import Meetings
from tenantry.packs.meetings.processing import Processing
from tenantry.packs.meetings.sessions import AccountMapping, MeetingSession
from tenantry.packs.meetings.workspaces import Workspaces
from tenantry.repository import AsyncReadRepository, AsyncRepository
from tenantry.session.aio import Face, through
from tenantry.types import Tenant as Placed


class AsyncWorkspaces(Face[Workspaces]):
    """The awaited face of ``Workspaces``."""

    add_user = through(Workspaces.add_user)
    change_plan = through(Workspaces.change_plan)
    change_user = through(Workspaces.change_user)
    change_subscription = through(Workspaces.change_subscription)
    keep_to_plan = through(Workspaces.keep_to_plan)
    remove_user = through(Workspaces.remove_user)

    async def install(self, slack_team_id: str, slack_team_name: str, **more: Any) -> Placed:
        """Returns the tenant of a Slack workspace, made in a thread where there is none.

        Raises: as ``Workspaces.install``.
        """
        return await asyncio.to_thread(self.behind.install, slack_team_id, slack_team_name, **more)


class AsyncConnections(Face[Connections]):
    """The awaited face of ``Connections``."""

    connect = through(Connections.connect)
    disconnect = through(Connections.disconnect)
    mark = through(Connections.mark)
    set_default = through(Connections.set_default)


class AsyncAccounts(Face[Accounts]):
    """The awaited face of ``Accounts``."""

    find = through(Accounts.find)
    learn = through(Accounts.learn)
    verify = through(Accounts.verify)


class AsyncProcessing(Face[Processing]):
    """The awaited face of ``Processing``."""

    complete = through(Processing.complete)
    fail = through(Processing.fail)
    hand_over = through(Processing.hand_over)
    receive = through(Processing.receive)
    retry = through(Processing.retry)
    start = through(Processing.start)


class AsyncMeetings(Face[Meetings]):
    """The awaited face of ``Meetings``; reach it through ``meetings.aio``."""

    @cached_property
    def workspaces(self) -> AsyncWorkspaces:
        """The workspaces."""
        return AsyncWorkspaces(self.behind.workspaces)

    @cached_property
    def connections(self) -> AsyncConnections:
        """The connections to CRMs."""
        return AsyncConnections(self.behind.connections)

    @cached_property
    def accounts(self) -> AsyncAccounts:
        """The CRM's accounts of domains."""
        return AsyncAccounts(self.behind.accounts)

    @cached_property
    def processing(self) -> AsyncProcessing:
        """The steps of meetings."""
        return AsyncProcessing(self.behind.processing)


class AsyncTenantRepository(AsyncRepository[Tenant]):
    """The tenant's own workspace."""

    async def get_own(self) -> Tenant | None:
        """Returns the workspace of this tenant, or None while it has none."""
        return await self.find()

    async def get_by_slack_team_id(self, slack_team_id: str) -> Tenant | None:
        """Returns the workspace if Slack calls it so, or None."""
        return await self.find(slack_team_id=slack_team_id)

    async def stats(self, *, now: datetime.datetime | None = None) -> Mapping[str, int]:
        """Returns how many users, CRM connections, meetings and account mappings there are."""
        return await self.session.run_sync(lambda db: repositories.TenantRepository(db).stats(now=now))


class AsyncUserRepository(AsyncRepository[User]):
    """The people of the workspace."""

    async def get_by_slack_user_id(self, slack_user_id: str) -> User | None:
        """Returns the user whom Slack calls so, or None."""
        return await self.find(slack_user_id=slack_user_id)

    async def get_by_email(self, email: str) -> User | None:
        """Returns the user with this address, whatever its case, or None."""
        return await self.session.run_sync(lambda db: repositories.UserRepository(db).get_by_email(email))

    async def get_active(self, *, role: str | None = None) -> list[User]:
        """Returns the users who may come in, all or those of one role."""
        return await self.session.run_sync(lambda db: repositories.UserRepository(db).get_active(role=role))


class AsyncCRMConnectionRepository(AsyncRepository[CRMConnection]):
    """The workspace's connections to CRMs."""

    async def get_default(self) -> CRMConnection | None:
        """Returns the connection that is used where none is named, or None."""
        return await self.find(is_default=True)

    async def get_by_provider(self, provider_type: str) -> list[CRMConnection]:
        """Returns the connections to one kind of CRM."""
        return await self.list(provider_type=provider_type, order_by="created_at")

    async def get_expiring(self, before: datetime.datetime) -> list[CRMConnection]:
        """Returns the working connections whose token expires before a time, the first to expire in front."""
        return await self.session.run_sync(lambda db: repositories.CRMConnectionRepository(db).get_expiring(before))


class AsyncMeetingSessionRepository(AsyncRepository[MeetingSession]):
    """The workspace's meetings; lists come with the latest first."""

    async def get_recent(self, days: int = 30, limit: int = 50) -> list[MeetingSession]:
        """Returns the meetings of the last days.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.session.run_sync(lambda db: repositories.MeetingSessionRepository(db).get_recent(days, limit))

    async def get_user_sessions(self, user_id: uuid.UUID, limit: int = 50, days: int = 30) -> list[MeetingSession]:
        """Returns the user's meetings of the last days."""
        return await self.session.run_sync(
            lambda db: repositories.MeetingSessionRepository(db).get_user_sessions(user_id, limit, days)
        )

    async def get_by_fathom_id(self, fathom_meeting_id: str) -> MeetingSession | None:
        """Returns the meeting that Fathom calls so, or None."""
        return await self.find(fathom_meeting_id=fathom_meeting_id)

    async def get_by_status(self, processing_status: str, limit: int = 50) -> list[MeetingSession]:
        """Returns the meetings whose processing has come so far, the oldest first.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.list(processing_status=processing_status, order_by="created_at", limit=limit)

    async def get_unsynced(self, limit: int = 50) -> list[MeetingSession]:
        """Returns the processed meetings of which no CRM has a note, the oldest first.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.session.run_sync(lambda db: repositories.MeetingSessionRepository(db).get_unsynced(limit))

    async def search(self, query: str, limit: int = 50) -> list[MeetingSession]:
        """Returns the meetings whose title or summary holds *query*, whatever its case.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.session.run_sync(lambda db: repositories.MeetingSessionRepository(db).search(query, limit))


class AsyncAccountMappingRepository(AsyncRepository[AccountMapping]):
    """What is known of which domain belongs to which account."""

    async def get_by_domain(
        self, crm_connection_id: uuid.UUID, email_domain: str, *, verified_only: bool = False
    ) -> AccountMapping | None:
        """Returns what is known of a domain, or of an address's, in one CRM, or None."""
        return await self.session.run_sync(
            lambda db: repositories.AccountMappingRepository(db).get_by_domain(
                crm_connection_id, email_domain, verified_only=verified_only
            )
        )

    async def get_unverified(self, limit: int = 50) -> list[AccountMapping]:
        """Returns what nobody has confirmed yet, the most doubtful first.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.list(is_verified=False, order_by="confidence", limit=limit)


class AsyncAuditLogRepository(AsyncReadRepository[AuditLog]):
    """What was done in the workspace, as far as it is committed."""

    async def get_by_resource(self, resource_type: str, resource_id: object, limit: int = 100) -> list[AuditLog]:
        """Returns what was done to one thing, the latest first.

        Raises: InvalidPage for a limit below 0.
        """
        return await self.session.run_sync(
            lambda db: repositories.AuditLogRepository(db).get_by_resource(resource_type, resource_id, limit)
        )


class AsyncAPIRateLimitRepository(AsyncReadRepository[APIRateLimit]):
    """How far the workspace's limits are used."""

    async def get_by_resource(self, resource_type: str) -> list[APIRateLimit]:
        """Returns the rows of one resource, one for each kind of limit it has been asked with."""
        return await self.list(resource_type=resource_type)
