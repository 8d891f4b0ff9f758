"""What makes a tenant's own schema or database on PostgreSQL, compiled once and replayed for each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import MetaData

from tenantry.isolation.ddl import create_statements
from tenantry.isolation.marks import noting_statements
from tenantry.isolation.searching import search_statements
from tenantry.isolation.stamps import stamp_statements
from tenantry.isolation.wall import (
    EXTENSIONS_SCHEMA,
    Capabilities,
    closed_roles,
    new_tables_statements,
    quote,
    schemas_statements,
    table_statements,
)
from tenantry.models import Ownership, owned_tables
from tenantry.settings import Config


@dataclass(frozen=True)
class Blueprint:
    """The statements for one set of models at one revision; *head* is None where no migrations are kept."""

    metadata: MetaData
    config: Config
    capabilities: Capabilities
    head: str | None

    def schema(self, name: str) -> str:
        """Returns the script of a new schema; the search path must name it."""
        roles = f"{self.config.role('app')}, {self.config.role('operator')}"
        return f"CREATE SCHEMA {name}; GRANT USAGE ON SCHEMA {name} TO {roles}; {self.tables}"

    @cached_property
    def tables(self) -> str:
        """The script of a tenant's own tables, with walls, grants and stamp; the search path says where."""
        own = owned_tables(self.metadata, Ownership.TENANT, Ownership.RECORD)
        return ";\n".join(
            [
                *create_statements(self.metadata, own, "postgresql"),
                *new_tables_statements(own, self.config, self.capabilities),
                *(line for table in own for line in search_statements(table, self.config)),
                *stamp_statements(self.head, closed_to=closed_roles(self.config)),
            ]
        )

    @cached_property
    def database(self) -> list[str]:
        """What stands in a tenant's database before its first row: schemas, extensions, Shared tables, its own."""
        shared = owned_tables(self.metadata, Ownership.SHARED)
        grants = [line for table in shared for line in table_statements(table, self.config, self.capabilities)]
        return [
            *schemas_statements(self.config),
            *(create_statements(self.metadata, shared, "postgresql") if shared else []),
            *grants,
            f"SET LOCAL search_path = {quote(self.config.common_schema)}, {EXTENSIONS_SCHEMA}, pg_temp",
            self.tables,
            *(noting_statements(self.config.common_schema) if self.head else []),
        ]

    @cached_property
    def digest(self) -> str:
        """What tells this blueprint from one of other models, another revision, or other choices."""
        return hashlib.sha256("\n".join(self.database).encode()).hexdigest()[:16]
