"""Schemas made, migrated and dropped with a server's own lock table, and with one that is too small (F09)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tenantry import Config, Tenancy, errors
from tenantry.embedded import PostgresServer
from tenantry.fleet import Fleet

from .places import write_revision
from .wide import models

# PostgreSQL's own defaults; the development server's are larger.
DEFAULT = {"max_locks_per_transaction": "64"}
NARROW = {"max_locks_per_transaction": "10"}


@contextmanager
def installed(
    base: Any, settings: dict[str, str], *, max_connections: int = 100, config: Config | None = None
) -> Iterator[Tenancy]:
    with PostgresServer(max_connections=max_connections, settings=settings) as server:
        tenancy = Tenancy(server.url("saas"), models=base, config=config)
        # Common tables would be more than a narrow server takes; tenants in schemas need none.
        tenancy.install()
        try:
            yield tenancy
        finally:
            tenancy.close()


def make_migrate_and_drop(scripts: Path, tenants: int, *, tables: int) -> None:
    write_revision(scripts, "0001")
    with installed(models(tables), DEFAULT, config=Config(migrations=str(scripts))) as tenancy:
        for number in range(tenants):
            tenancy.tenants.create(f"tenant-{number}", isolation="schema")
        assert schemas(tenancy) == tenants
        add_a_column(scripts, tables)
        # The common tables were never made.
        outcome = Fleet(tenancy).upgrade(where=lambda home: home.tenant is not None)
        assert outcome.ok
        assert columns(tenancy, "later") == tenants * tables
        for number in range(tenants):
            gone = tenancy.tenants.erase(f"tenant-{number}", confirm=f"tenant-{number}")
            assert len(gone) == tables
        assert schemas(tenancy) == 0


def add_a_column(scripts: Path, tables: int) -> None:
    """Writes a revision that changes every table of a tenant."""
    names = ", ".join(f'"table_{number:03}"' for number in range(tables))
    each = f"    for name in ({names}):\n        op."
    head = 'import sqlalchemy as sa\nfrom alembic import op\n\nrevision = "0002"\ndown_revision = "0001"\n'
    up, down = f'{each}add_column(name, sa.Column("later", sa.Text()))', f'{each}drop_column(name, "later")'
    text = f"{head}\n\ndef upgrade():\n{up}\n\n\ndef downgrade():\n{down}\n"
    (scripts / "versions" / "0002.py").write_text(text)


def columns(tenancy: Tenancy, name: str) -> int:
    question = "select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relkind = 'r' "
    with tenancy.servers.main.owner(action="Counting") as owner:
        return int(owner.execute(question + "and a.attname = %s", (name,)).fetchone()[0])


def schemas(tenancy: Tenancy) -> int:
    with tenancy.servers.main.owner(action="Counting") as owner:
        return int(owner.execute("select count(*) from pg_namespace where nspname like 't\\_%'").fetchone()[0])


@pytest.mark.soak
def test_schemas_are_made_migrated_and_dropped_with_the_default_lock_table(tmp_path: Path) -> None:
    make_migrate_and_drop(tmp_path, 15, tables=20)


@pytest.mark.soak
def test_two_thousand_schemas_are_made_migrated_and_dropped_with_the_default_lock_table(tmp_path: Path) -> None:
    make_migrate_and_drop(tmp_path, 2000, tables=20)


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


@pytest.mark.soak
def test_a_schema_that_cannot_be_made_says_what_to_raise() -> None:
    with installed(models(200), NARROW, max_connections=20) as tenancy:
        with pytest.raises(errors.ConfigurationError, match="max_locks_per_transaction"):
            tenancy.tenants.create("acme", isolation="schema")
        assert schemas(tenancy) == 0
