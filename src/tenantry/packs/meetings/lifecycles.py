"""Which step may follow which: subscriptions, connections, meetings and their notes."""

from __future__ import annotations

from typing import Final

from tenantry.models import Lifecycle
from tenantry.packs.meetings.models import CRMConnection, Tenant
from tenantry.packs.meetings.sessions import MeetingSession

SUBSCRIPTION: Final = Lifecycle(
    Tenant.subscription_status,
    {
        "trialing": ["active", "past_due", "canceled"],
        "active": ["past_due", "canceled", "suspended"],
        "past_due": ["active", "canceled", "suspended"],
        "suspended": ["active", "canceled"],
        "canceled": ["active"],
    },
)
CONNECTION: Final = Lifecycle(
    CRMConnection.status,
    {
        "active": ["error", "expired", "revoked"],
        "error": ["active", "expired", "revoked"],
        "expired": ["active", "revoked"],
        "revoked": [],
    },
)
PROCESSING: Final = Lifecycle(
    MeetingSession.processing_status,
    {
        "pending": ["processing", "failed"],
        "processing": ["completed", "failed"],
        "failed": ["pending"],
        "completed": [],
    },
    stamps={"completed": "processed_at"},
)
# What failed may be delivered after all, since the outbox tries again.
CRM_SYNC: Final = Lifecycle(
    MeetingSession.crm_sync_status,
    {
        "none": ["pending"],
        "pending": ["synced", "failed"],
        "failed": ["pending", "synced"],
        "synced": ["pending"],
    },
    stamps={"synced": "crm_synced_at"},
)
