"""Orphans are counted by one who sees every tenant's rows, also behind a foreign key that counts as validated."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tenantry import Tenancy
from tenantry.fleet.checking import check
from tenantry.fleet.checking_orphans import orphans_of
from tenantry.fleet.homes import Home, HomeKind, homes_of
from tenantry.fleet.owning import file_of

from .installed import home_named, on_postgres, on_sqlite
from .models import Company, Note, Ticket

NOTE = "INSERT INTO {s}.notes (tenant_id, id, ticket_id, hours, body) VALUES ('{tenant}', '{id}', '{ticket}', 1, 'x')"


@pytest.fixture(scope="module")
def installed(postgres: Any) -> Iterator[tuple[Tenancy, Any]]:
    """Tenants under each isolation, each with a ticket and notes on it, on none, and nothing wrong."""
    with on_postgres(postgres, tenants={"in-rows": "rows", "schema": "schema", "database": "database"}) as tenancy:
        for slug in ("in-rows", "schema", "database"):
            fill(tenancy, slug)
        yield tenancy, postgres


def fill(tenancy: Tenancy, slug: str) -> None:
    with tenancy.transaction(slug) as session:
        session.add(Company(name=slug))
        ticket = Ticket(number=1, subject="sound")
        session.add(ticket)
        session.flush()
        session.add_all([Note(body="on a ticket", ticket_id=ticket.id), Note(body="on none")])


def place(tenancy: Tenancy, home: Home) -> tuple[str, str]:
    """Returns the database and the schema of a home."""
    own = home.physical if home.kind is HomeKind.DATABASE else tenancy.servers.main.database
    return own, home.physical if home.kind is HomeKind.SCHEMA else tenancy.config.common_schema


def plant(tenancy: Tenancy, postgres: Any, home: Home, tenant: uuid.UUID, *, rows: int) -> None:
    """Writes rows that point at no ticket, as replication or a careless restore would."""
    database, schema = place(tenancy, home)
    with postgres.admin(database) as admin:
        admin.execute("SET session_replication_role = replica")
        for _ in range(rows):
            admin.execute(NOTE.format(s=schema, tenant=tenant, id=uuid.uuid4(), ticket=uuid.uuid4()))


def clear(tenancy: Tenancy, postgres: Any, home: Home) -> None:
    """Deletes every row that points at no ticket."""
    database, schema = place(tenancy, home)
    with postgres.admin(database) as admin:
        admin.execute(
            f"DELETE FROM {schema}.notes WHERE ticket_id IS NOT NULL AND ticket_id NOT IN "
            f"(SELECT id FROM {schema}.tickets)"
        )


@pytest.mark.parametrize("name", ["main/common", "schema", "database"])
def test_orphans_of_any_tenant_are_counted_in_each_kind_of_home(installed: tuple[Tenancy, Any], name: str) -> None:
    tenancy, postgres = installed
    home = home_named(tenancy, name)
    assert check(tenancy) == ()
    plant(tenancy, postgres, home, home.tenant or tenancy.tenants.get("in-rows").id, rows=3)
    (found,) = check(tenancy)
    assert (found.code, found.object) == ("F302", name)
    assert found.message == "3 row(s) refer by notes.fk_notes_ticket_id to rows that are not there."
    assert check(tenancy, orphans=False) == ()
    clear(tenancy, postgres, home)


def test_a_key_that_its_owner_validated_blindly_hides_no_orphan(installed: tuple[Tenancy, Any]) -> None:
    """The owner's own ALTER TABLE says that all is well: under FORCE it saw no row."""
    tenancy, postgres = installed
    home = home_named(tenancy, "schema")
    database, schema = place(tenancy, home)
    owner = tenancy.config.role("owner")
    tables = ("notes", "tickets")
    with postgres.admin(database) as admin:
        (superuser,) = admin.execute("SELECT current_user").fetchone() or ("",)
        admin.execute(f"ALTER TABLE {schema}.notes DROP CONSTRAINT fk_notes_ticket_id")
        admin.execute(NOTE.format(s=schema, tenant=home.tenant, id=uuid.uuid4(), ticket=uuid.uuid4()))
        admin.execute(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}")
        for table in tables:
            admin.execute(f"ALTER TABLE {schema}.{table} OWNER TO {owner}")
        with admin.transaction():
            admin.execute(f"SET LOCAL ROLE {owner}")
            admin.execute(f"SET LOCAL tenantry.tenant = '{uuid.uuid4()}'")
            admin.execute(
                f"ALTER TABLE {schema}.notes ADD CONSTRAINT fk_notes_ticket_id FOREIGN KEY (tenant_id, ticket_id) "
                f"REFERENCES {schema}.tickets (tenant_id, id) ON DELETE SET NULL (ticket_id)"
            )
        for table in tables:
            admin.execute(f"ALTER TABLE {schema}.{table} OWNER TO {superuser}")
        admin.execute(f"REVOKE ALL ON SCHEMA {schema} FROM {owner}")
        admin.execute(f"SET search_path = {schema}")
        question = "SELECT convalidated FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype = 'f'"
        assert admin.execute(question).fetchall() == [(True,)]
    assert [(finding.code, finding.object) for finding in check(tenancy)] == [("F302", "schema")]
    clear(tenancy, postgres, home)
    assert check(tenancy) == ()


def test_an_operator_who_sees_nothing_is_no_proof_that_nothing_is_there(installed: tuple[Tenancy, Any]) -> None:
    tenancy, postgres = installed
    operator = tenancy.config.role("operator")
    with postgres.admin() as admin:
        admin.execute(f"ALTER ROLE {operator} NOBYPASSRLS")
    found = check(tenancy)
    assert {finding.code for finding in found} == {"F902"}
    assert {finding.object for finding in found} == {str(home) for home in homes_of(tenancy)}
    assert all(operator in finding.message for finding in found)
    with postgres.admin() as admin:
        admin.execute(f"ALTER ROLE {operator} BYPASSRLS")


def test_an_operator_with_a_policy_of_its_own_counts_too(installed: tuple[Tenancy, Any]) -> None:
    tenancy, postgres = installed
    home, operator = home_named(tenancy, "schema"), tenancy.config.role("operator")
    plant(tenancy, postgres, home, home.tenant, rows=2)
    with postgres.admin(tenancy.servers.main.database) as admin:
        admin.execute(f"ALTER ROLE {operator} NOBYPASSRLS")
        for table in ("companies", "tickets", "notes", "tags", "ticket_tags"):
            admin.execute(f"CREATE POLICY tenantry_operator ON {home.physical}.{table} TO {operator} USING (true)")
    assert orphans_of(tenancy, [home]) == {home: {"notes.fk_notes_ticket_id": 2}}
    with postgres.admin(tenancy.servers.main.database) as admin:
        admin.execute(f"ALTER ROLE {operator} BYPASSRLS")
        for table in ("companies", "tickets", "notes", "tags", "ticket_tags"):
            admin.execute(f"DROP POLICY tenantry_operator ON {home.physical}.{table}")
    clear(tenancy, postgres, home)


def test_counting_is_the_operators_own_work(installed: tuple[Tenancy, Any]) -> None:
    """Where the operator may not read, the count fails aloud; the owner's rights are not taken instead."""
    tenancy, postgres = installed
    home, operator = home_named(tenancy, "schema"), tenancy.config.role("operator")
    with postgres.admin(tenancy.servers.main.database) as admin:
        admin.execute(f"REVOKE SELECT ON {home.physical}.tickets FROM {operator}")
    codes = [finding.code for finding in check(tenancy, homes=[home])]
    assert codes == ["F201", "F902"]
    with postgres.admin(tenancy.servers.main.database) as admin:
        admin.execute(f"GRANT SELECT ON {home.physical}.tickets TO {operator}")


@pytest.mark.parametrize("name", ["main/common", "one"])
def test_orphans_in_files(tmp_path: Path, name: str) -> None:
    with on_sqlite(tmp_path, tenants=["one"]) as tenancy:
        tenancy.tenants.create("in-rows", isolation="rows")
        fill(tenancy, "one")
        fill(tenancy, "in-rows")
        assert check(tenancy) == ()
        home = home_named(tenancy, name)
        table = "notes__rows" if home.kind is HomeKind.COMMON else "notes"
        with closing(sqlite3.connect(file_of(home, tenancy.servers.main))) as connection:
            connection.execute(f"UPDATE {table} SET ticket_id = ? WHERE ticket_id IS NOT NULL", (uuid.uuid4().hex,))
            connection.commit()
        (found,) = check(tenancy)
        assert (found.code, found.object) == ("F302", name)
        assert found.message.startswith(f"1 row(s) refer by {table} to tickets")
