"""A database that stood on the server before its tenant was known, and keeps its name."""

from __future__ import annotations

import re
import uuid
from typing import Final

from tenantry.isolation.database import PostgresDatabase
from tenantry.isolation.postgres import PostgresServer

# The operator gives the name, no request does; these stand in a URL as they are, and quoted in SQL.
ADOPTABLE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


class AdoptedDatabase(PostgresDatabase):
    """The database of one tenant, under the name that the catalog has for it."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        super().__init__(server)
        self._name = name

    def place(self, tenant: uuid.UUID) -> str:
        return self._name
