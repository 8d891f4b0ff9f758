"""The look at an SQLite file, as each of a tenant's transactions begins: whether the tenant has left it.

SQLite lets one transaction write at a time, so what is behind a fence is simply that one. What a look has to find is a
tombstone, and while no table for them is in the file, which the number of the file's schema tells, nothing is read.
"""

from __future__ import annotations

import sqlite3
import uuid
from typing import Final

from tenantry.isolation.fencing_names import FENCE_TABLE

_STANDS: Final = f"SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = '{FENCE_TABLE}'"
_HAS_LEFT: Final = f"SELECT 1 FROM main.{FENCE_TABLE} WHERE tenant_id = ? AND departed"


class Gate:
    """What one connection has seen of its file's fences."""

    __slots__ = ("_fenced", "_version", "looking")

    def __init__(self) -> None:
        self._version = -1
        self._fenced = False
        self.looking = False

    def has_left(self, cursor: sqlite3.Cursor, tenant: uuid.UUID) -> bool:
        """Whether a tenant has left the file, as the transaction of *cursor* sees it."""
        self.looking = True
        try:
            (version,) = cursor.execute("PRAGMA main.schema_version").fetchone()
            if version != self._version:
                self._fenced = cursor.execute(_STANDS).fetchone() is not None
                self._version = version
            return self._fenced and cursor.execute(_HAS_LEFT, (tenant.hex,)).fetchone() is not None
        finally:
            self.looking = False
