"""The meetings: Slack workspaces, their CRMs, and meetings from the recording to the note in the CRM."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tenantry.packs.meetings.accounts import Accounts
from tenantry.packs.meetings.base import MeetingsBase
from tenantry.packs.meetings.connections import Connections
from tenantry.packs.meetings.crm import CRM, Note, Notes
from tenantry.packs.meetings.kept import APIRateLimit, AuditLog
from tenantry.packs.meetings.models import CRMConnection, Tenant, User
from tenantry.packs.meetings.pack import Meetings
from tenantry.packs.meetings.plans import PLANS, Plan
from tenantry.packs.meetings.processing import Findings, Processing
from tenantry.packs.meetings.repositories import (
    AccountMappingRepository,
    APIRateLimitRepository,
    AuditLogRepository,
    CRMConnectionRepository,
    MeetingSessionRepository,
    TenantRepository,
    UserRepository,
)
from tenantry.packs.meetings.seed import (
    check_connection,
    close_db,
    door,
    find_crm_account,
    get_database_info,
    get_db,
    get_db_async,
    get_db_dependency,
    get_tenant_meetings,
    get_tenant_stats,
    get_user_meetings,
)
from tenantry.packs.meetings.sessions import AccountMapping, MeetingSession, normalise_domain
from tenantry.packs.meetings.words import (
    ConnectionStatus,
    CRMProvider,
    CRMSyncStatus,
    MappingSource,
    PlanTier,
    ProcessingStatus,
    Sentiment,
    SubscriptionStatus,
    UserRole,
)
from tenantry.packs.meetings.workspaces import Workspaces

if TYPE_CHECKING:
    from tenantry.packs.meetings.aio import (
        AsyncAccountMappingRepository,
        AsyncAPIRateLimitRepository,
        AsyncAuditLogRepository,
        AsyncCRMConnectionRepository,
        AsyncMeetings,
        AsyncMeetingSessionRepository,
        AsyncTenantRepository,
        AsyncUserRepository,
    )
    from tenantry.packs.meetings.http import router
    from tenantry.packs.meetings.permissions import ROLES

# Where the Alembic history is: Config(migrations=MIGRATIONS).
MIGRATIONS: Final = str(Path(__file__).parent / "migrations")

__all__ = [
    "CRM",
    "MIGRATIONS",
    "PLANS",
    "ROLES",
    "APIRateLimit",
    "APIRateLimitRepository",
    "AccountMapping",
    "AccountMappingRepository",
    "Accounts",
    "AsyncAPIRateLimitRepository",
    "AsyncAccountMappingRepository",
    "AsyncAuditLogRepository",
    "AsyncCRMConnectionRepository",
    "AsyncMeetingSessionRepository",
    "AsyncMeetings",
    "AsyncTenantRepository",
    "AsyncUserRepository",
    "AuditLog",
    "AuditLogRepository",
    "CRMConnection",
    "CRMConnectionRepository",
    "CRMProvider",
    "CRMSyncStatus",
    "ConnectionStatus",
    "Connections",
    "Findings",
    "MappingSource",
    "MeetingSession",
    "MeetingSessionRepository",
    "Meetings",
    "MeetingsBase",
    "Note",
    "Notes",
    "Plan",
    "PlanTier",
    "Processing",
    "ProcessingStatus",
    "Sentiment",
    "SubscriptionStatus",
    "Tenant",
    "TenantRepository",
    "User",
    "UserRepository",
    "UserRole",
    "Workspaces",
    "check_connection",
    "close_db",
    "door",
    "find_crm_account",
    "get_database_info",
    "get_db",
    "get_db_async",
    "get_db_dependency",
    "get_tenant_meetings",
    "get_tenant_stats",
    "get_user_meetings",
    "normalise_domain",
    "router",
]

# What needs an extra of its own: FastAPI, the packages of access, or else greenlet.
_ELSEWHERE: Final = {"ROLES": "permissions", "router": "http"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tenantry.packs.meetings' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tenantry.packs.meetings.{_ELSEWHERE.get(name, 'aio')}"), name)
