"""Roles of a workspace, and what each may do."""

from __future__ import annotations

from typing import Final

from tenantry.access import Roles
from tenantry.packs.meetings.words import UserRole

BILLING: Final = "billing"

ROLES: Final = Roles(
    {
        UserRole.ADMIN: ["accounts:*", "audit:read", "connections:*", "meetings:*", "users:*", "workspace:read"],
        UserRole.MEMBER: [
            "accounts:create",
            "accounts:read",
            "accounts:update",
            "connections:read",
            "meetings:create",
            "meetings:process",
            "meetings:read",
            "meetings:sync",
            "users:read",
            "workspace:read",
        ],
        # Whoever sends the bills, and nobody of the workspace's own: a plan is not chosen by who pays for it.
        BILLING: ["billing:update", "workspace:read"],
        UserRole.VIEWER: ["accounts:read", "meetings:read", "users:read", "workspace:read"],
    }
)
