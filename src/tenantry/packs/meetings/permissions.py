"""Roles of a workspace, and what each may do."""

from __future__ import annotations

from typing import Final

from tenantry.access import Roles
from tenantry.packs.meetings.words import UserRole

ROLES: Final = Roles(
    {
        UserRole.ADMIN: ["accounts:*", "audit:read", "connections:*", "meetings:*", "users:*", "workspace:*"],
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
        UserRole.VIEWER: ["accounts:read", "meetings:read", "users:read", "workspace:read"],
    }
)
