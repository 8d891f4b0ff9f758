"""The names by which what a fence leaves in a home is known: no part of the home's shape, and gone with the fence."""

from __future__ import annotations

import re
from typing import Final

# On PostgreSQL: the schema of the fence's own things, the policy that turns readers away, and the writers' triggers.
SCHEMA: Final = "tenantry_move"
PRESENT_POLICY: Final = "tenantry_present"
TABLES: Final = ("fences", "changes")
FUNCTIONS: Final = ("enter", "here", "hold_off", "pass", "refuse", "still_here")
NOTE_PREFIX: Final = "note_"
# In an SQLite file.
FENCE_TABLE: Final = "tenantry_fence"
CHANGES_TABLE: Final = "tenantry_changes"

# The walls of SQLite know triggers of ours by how their names begin.
TRIGGER: Final = "tenantry_fence_"
STORED_TRIGGER: Final = "tenantry_wall_fence_"

_TRIGGER: Final = re.compile(rf"(?:{TRIGGER}|{STORED_TRIGGER})[0-9a-f]{{32}}_.+")


def is_of_fence(name: str) -> bool:
    """Whether a table, policy or trigger in a home stands there because a tenant is moved, restored, or has left."""
    return name in (PRESENT_POLICY, FENCE_TABLE, CHANGES_TABLE) or _TRIGGER.fullmatch(name) is not None
