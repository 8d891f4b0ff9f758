"""One adoption on PostgreSQL: what is taken over, for whom, and at what pace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from tenantry.fleet.adopting.desk import Desk, sit_down
from tenantry.fleet.adopting.expressions import Expressions
from tenantry.fleet.adopting.plans import Plan
from tenantry.fleet.adopting.postgres_shapes import read_shapes
from tenantry.fleet.adopting.registering import Register
from tenantry.fleet.history import Pace
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.wall import quote
from tenantry.models import SHARED_SCHEMA, Ownership, owned_tables
from tenantry.tenancy import Tenancy
from tenantry.types import Tenant


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every stage on PostgreSQL needs to know; *tenant* is the one that has the whole database to itself."""

    tenancy: Tenancy
    plan: Plan
    server: PostgresServer
    database: str
    tenant: Tenant | None
    register: Register
    pace: Pace
    batch: int
    say: Callable[..., None]

    @property
    def name(self) -> str:
        """What errors call the database."""
        return f"{self.server.name}/{self.database}"

    @property
    def schema(self) -> str:
        """The schema of the application's tables."""
        return self.server.config.common_schema

    @property
    def kinds(self) -> tuple[Ownership, ...]:
        """Whose tables belong in the database: the platform's do not belong in a tenant's own."""
        ours = (Ownership.TENANT, Ownership.RECORD, Ownership.SHARED)
        return ours if self.tenant else (*ours, Ownership.PLATFORM)

    def tables(self, *kinds: Ownership) -> list[Table]:
        """Returns the tables that belong in the database."""
        return owned_tables(self.server.metadata, *(kinds or self.kinds))

    @contextlib.contextmanager
    def desk(self) -> Iterator[Desk]:
        """Opens the owner's desk in the database."""
        with sit_down(self.server, self.database, name=self.name, pace=self.pace) as desk:
            yield desk

    def expressions(self, desk: Desk) -> Expressions:
        """Returns the questions that the database allows as it stands now."""
        plain = [table for table in self.tables() if table.schema is None]
        shared = [table for table in self.tables() if table.schema is not None]
        shapes = read_shapes(desk, plain, [self.schema]) | read_shapes(desk, shared, [SHARED_SCHEMA, self.schema])
        return Expressions(self.plan, self.server.metadata, shapes, quote)

    def step(self, name: str, **facts: Any) -> None:
        """Says what is done next."""
        self.say(name, **facts)
