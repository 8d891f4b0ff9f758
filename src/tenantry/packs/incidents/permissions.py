"""Who may do what with incidents: roles and their permissions, ``resource:action``."""

from __future__ import annotations

from typing import Final

from tenantry.access import Roles

RESOURCES: Final = ("actions", "decisions", "events", "incidents", "kill_switches", "vendors", "workflows")

ROLES: Final = Roles(
    {
        "super_admin": ["*"],
        "admin": [f"{resource}:*" for resource in RESOURCES],
        # Workflows report with this one, and can do nothing else.
        "reporter": ["events:create"],
        "responder": [
            *(f"{resource}:read" for resource in RESOURCES),
            "actions:create",
            "actions:update",
            "decisions:create",
            "incidents:update",
            "kill_switches:create",
        ],
        "viewer": [f"{resource}:read" for resource in RESOURCES],
    }
)
