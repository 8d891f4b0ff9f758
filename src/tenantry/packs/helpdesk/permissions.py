"""Who may do what at a desk: roles, and their permissions ``resource:action``."""

from __future__ import annotations

from typing import Final

from tenantry.access import SEEDED, Roles

# Beside the roles that every application begins with.
DESK_ROLES: Final = Roles(
    {
        **SEEDED.matrix,
        "admin": [*SEEDED.matrix["admin"], "tickets:*", "articles:*", "objects:*", "companies:*", "backups:*"],
        "agent": [
            "tickets:read",
            "tickets:create",
            "tickets:update",
            "conversations:*",
            "articles:*",
            "objects:read",
            "agents:read",
            "companies:read",
        ],
        "viewer": [*SEEDED.matrix["viewer"], "tickets:read", "articles:read", "companies:read"],
    }
)
