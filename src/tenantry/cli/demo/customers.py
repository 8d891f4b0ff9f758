"""Who the demo's tenants are: where each is placed, and the rows it brings along."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tenantry.packs.helpdesk import Agent, Conversation, Ticket
from tenantry.samples import Row, Sample
from tenantry.types import Isolation

MAIN: Final = "main"
FILES: Final = "files"


class Place(enum.Enum):
    """Where a tenant may live in the demo: the name shown, the server, the isolation."""

    ROWS = ("rows", MAIN, Isolation.ROWS)
    SCHEMA = ("schema", MAIN, Isolation.SCHEMA)
    DATABASE = ("database", MAIN, Isolation.DATABASE)
    SQLITE_ROWS = ("rows", FILES, Isolation.ROWS)
    SQLITE_FILE = ("file", FILES, Isolation.DATABASE)

    @property
    def label(self) -> str:
        """What the place is called in a table."""
        return self.value[0]

    @property
    def server(self) -> str:
        """The server's name in the tenancy."""
        return self.value[1]

    @property
    def isolation(self) -> Isolation:
        """How far apart the tenant stands there."""
        return self.value[2]

    @property
    def title(self) -> str:
        """What the place is called where it stands alone."""
        return f"{self.kind} {self.label}"

    @property
    def kind(self) -> str:
        """The database behind it."""
        return "SQLite" if self.server == FILES else "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Customer:
    """One tenant of the demo with everything it brings; rows are ready to insert, but for the tenant."""

    slug: str
    company: Mapping[str, Any]
    place: Place
    agents: Sequence[Row]
    tickets: Sequence[Row]
    conversations: Sequence[Row]

    @property
    def size(self) -> int:
        """How many rows there are to load."""
        return self.sample.size

    @property
    def sample(self) -> Sample:
        """The tenant and its rows as they are loaded."""
        rows = {Agent: self.agents, Ticket: self.tickets, Conversation: self.conversations}
        return Sample(
            self.slug,
            self.company["name"],
            isolation=self.place.isolation,
            server=self.place.server,
            record=self.company,
            rows=rows,
        )
