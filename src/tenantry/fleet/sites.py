"""Where a migration runs: the home, and the installation it belongs to, as operations and applying see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tenantry.fleet.homes import Home, HomeKind, holds
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.servers import Server
from tenantry.models import Ownership
from tenantry.tenancy import Tenancy

# The key in MigrationContext.opts under which a Site travels.
SITE: Final = "tenantry_site"


@dataclass(frozen=True)
class Site:
    """One home of one installation."""

    tenancy: Tenancy
    home: Home

    @property
    def server(self) -> Server:
        """The server the home is on."""
        return self.tenancy.servers.get(self.home.server)

    @property
    def on_postgres(self) -> bool:
        """Whether the home is in PostgreSQL."""
        return isinstance(self.server, PostgresServer)

    @property
    def stored(self) -> bool:
        """Whether walled tables bear their stored names here: SQLite's common tables do (``tickets__rows``)."""
        return not self.on_postgres and self.home.kind is HomeKind.COMMON

    @cached_property
    def holds(self) -> frozenset[Ownership]:
        """Whose tables stand here."""
        return holds(self.home, self.server)
