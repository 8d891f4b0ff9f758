"""Schemas made and dropped with the lock table a server has by default, and with one that is too small (F09)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from tenantry import Tenancy, errors
from tenantry.embedded import PostgresServer

from .wide import models

# PostgreSQL's own defaults; the development server's are larger.
DEFAULT = {"max_locks_per_transaction": "64"}
NARROW = {"max_locks_per_transaction": "10"}


@contextmanager
def installed(base: Any, settings: dict[str, str], *, max_connections: int = 100) -> Iterator[Tenancy]:
    with PostgresServer(max_connections=max_connections, settings=settings) as server:
        tenancy = Tenancy(server.url("saas"), models=base)
        # Common tables would be more than a narrow server takes; tenants in schemas need none.
        tenancy.install()
        try:
            yield tenancy
        finally:
            tenancy.close()


def make_and_drop(tenants: int, *, tables: int) -> None:
    with installed(models(tables), DEFAULT) as tenancy:
        for number in range(tenants):
            tenancy.tenants.create(f"tenant-{number}", isolation="schema")
        assert schemas(tenancy) == tenants
        for number in range(tenants):
            gone = tenancy.tenants.erase(f"tenant-{number}", confirm=f"tenant-{number}")
            assert len(gone) == tables
        assert schemas(tenancy) == 0


def schemas(tenancy: Tenancy) -> int:
    with tenancy.servers.main.owner(action="Counting") as owner:
        return int(owner.execute("select count(*) from pg_namespace where nspname like 't\\_%'").fetchone()[0])


def test_schemas_are_made_and_dropped_with_the_default_lock_table() -> None:
    make_and_drop(25, tables=20)


@pytest.mark.soak
def test_two_thousand_schemas_are_made_and_dropped_with_the_default_lock_table() -> None:
    make_and_drop(2000, tables=20)


def test_a_schema_too_large_for_one_transaction_goes_table_by_table() -> None:
    with installed(models(30), NARROW, max_connections=20) as tenancy:
        tenant = tenancy.tenants.create("acme", isolation="schema")
        with tenancy.transaction("acme") as db:
            db.execute(
                text("insert into table_000 (tenant_id, id, subject, n) values (:t, :t, '', 1)"), {"t": tenant.id}
            )
        with tenancy.servers.main.owner(action="Planting") as owner:
            owner.execute(f"create table {tenant.physical}.jottings (line text)")
        with pytest.raises(errors.SurprisingErase, match="jottings"):
            tenancy.tenants.erase("acme", confirm="acme")
        with tenancy.servers.main.owner(action="Clearing") as owner:
            owner.execute(f"drop table {tenant.physical}.jottings")
        gone = tenancy.tenants.erase("acme", confirm="acme")
        assert gone == {f"table_{number:03}": int(number == 0) for number in range(30)}
        assert schemas(tenancy) == 0


def test_a_schema_that_cannot_be_made_says_what_to_raise() -> None:
    with installed(models(200), NARROW, max_connections=20) as tenancy:
        with pytest.raises(errors.ConfigurationError, match="max_locks_per_transaction"):
            tenancy.tenants.create("acme", isolation="schema")
        assert schemas(tenancy) == 0
