"""The shape that the models give each kind of home, found by making their tables and looking."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Table

from tenantry.fleet import fingerprints_postgres, fingerprints_sqlite
from tenantry.fleet.fingerprints import SCHEMA, Fact, Fingerprint
from tenantry.fleet.homes import Home, HomeKind, holds
from tenantry.isolation.ddl import create_statements
from tenantry.isolation.postgres import PostgresServer
from tenantry.isolation.sqlite import COMMON, PLATFORM, SqliteServer
from tenantry.isolation.wall import EXTENSIONS_SCHEMA, table_statements
from tenantry.models import SHARED_SCHEMA, Ownership, owned_tables
from tenantry.tenancy import Tenancy

_ACTION = "Comparing homes with the models"


class ModelShapes:
    """What a home looks like where all is as the models say; each server is asked once for each kind of home."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._known: dict[tuple[str, HomeKind], Fingerprint] = {}

    def of(self, home: Home) -> Fingerprint:
        """Returns the shape that *home* should have; who owns it is not in it.

        Raises: LoginRequired without the owner's login.
        """
        server = self._tenancy.servers.get(home.server)
        if (home.server, home.kind) not in self._known:
            if isinstance(server, PostgresServer):
                self._known[home.server, home.kind] = _on_postgres(server, holds(home, server))
            else:
                self._known |= {(home.server, kind): found for kind, found in _on_sqlite(server).items()}
        return self._known[home.server, home.kind]


def of_models(fact: Fact) -> bool:
    """Whether the models say anything of what *fact* tells: not who made it, nor what was granted on the schema."""
    return fact.kind not in (SCHEMA, "owner")


def with_shared(own: Fingerprint, shared: Fingerprint | None) -> Fingerprint:
    """Returns the shape of a home that holds the Shared schema beside its own."""
    return Fingerprint(own.facts | {_in_shared(fact) for fact in (shared.facts if shared else ())})


def _in_shared(fact: Fact) -> Fact:
    if fact.table:
        return replace(fact, table=f"{SHARED_SCHEMA}.{fact.table}")
    return replace(fact, name=f"{fact.name} in {SHARED_SCHEMA}")


def _on_postgres(server: PostgresServer, kinds: Collection[Ownership]) -> Fingerprint:
    own = f"tenantry_check_{secrets.token_hex(4)}"
    shared = f"{own}_shared"
    # The Shared tables are made too where they do not belong to the home: others refer to them.
    tables = owned_tables(server.metadata, Ownership.SHARED, *kinds)
    statements = [fingerprints_postgres.renamed(line, SHARED_SCHEMA, shared) for line in _making(server, tables)]
    with server.owner(action=_ACTION) as connection, connection.transaction(force_rollback=True):
        connection.execute(f"CREATE SCHEMA {own}; CREATE SCHEMA {shared}")
        connection.execute(f"SET LOCAL search_path = {own}, {EXTENSIONS_SCHEMA}, pg_temp")
        connection.execute("; ".join(statements))
        found = fingerprints_postgres.read(connection, [own, shared])
    told = {schema: _told(found[schema], shared) for schema in (own, shared)}
    return with_shared(told[own], told[shared] if Ownership.SHARED in kinds else None)


def _making(server: PostgresServer, tables: list[Table]) -> list[str]:
    capabilities = server.capabilities()
    walls = [line for table in tables for line in table_statements(table, server.config, capabilities)]
    return [*create_statements(server.metadata, tables, "postgresql"), *walls]


def _told(found: Fingerprint, shared: str) -> Fingerprint:
    facts = (fact for fact in found.facts if of_models(fact))
    return Fingerprint.of(
        replace(fact, text=fingerprints_postgres.renamed(fact.text, shared, SHARED_SCHEMA)) for fact in facts
    )


def _on_sqlite(server: SqliteServer) -> dict[HomeKind, Fingerprint]:
    files = {HomeKind.PLATFORM: PLATFORM, HomeKind.COMMON: COMMON, HomeKind.FILE: "tenant.sqlite3"}
    with tempfile.TemporaryDirectory() as directory:
        scratch = SqliteServer(server.name, Path(directory), metadata=server.metadata, config=server.config)
        try:
            scratch.install()
            scratch.create_file(files[HomeKind.FILE])
        finally:
            scratch.engines.close()
        return {kind: fingerprints_sqlite.read_file(scratch.file(name), {}) for kind, name in files.items()}
