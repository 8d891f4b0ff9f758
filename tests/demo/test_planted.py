"""The demo's verdict can fail: each planted fault is found, and by the number that it puts off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
import pytest

from tenantry import Tenancy
from tenantry.cli.demo import world
from tenantry.cli.demo.acts import perform
from tenantry.cli.demo.generated import make_customers
from tenantry.cli.demo.stage import Stage
from tenantry.embedded import PostgresServer
from tenantry.isolation import sqlite_wall
from tenantry.packs.helpdesk import HelpdeskBase

# What is done to the database after everything was loaded, and what the demo must say of it.
TOGETHER = {
    "DELETE FROM public.conversations WHERE ctid = (SELECT min(ctid) FROM public.conversations)": (
        "but was given Counts("
    ),
    "ALTER TABLE public.tickets DROP CONSTRAINT fk_tickets_agent_id": (
        "a foreign key to their agent, PostgreSQL rows: GOT IN: a row refers to their agent"
    ),
    "GRANT USAGE ON SCHEMA tenantry TO demo_app": "the catalog: tenantry.tenants, PostgreSQL rows: GOT IN: saw",
    "GRANT SELECT ON tenantry.tenants TO demo_app": "the catalog: tenantry.tenants, PostgreSQL schema: GOT IN: saw",
    "GRANT tenantry_operator TO demo_app": "SET ROLE tenantry_operator, PostgreSQL rows: GOT IN: saw",
    # All that a cascade from tickets reaches.
    "GRANT TRUNCATE ON public.tickets, public.conversations, public.attachments, public.ticket_tags TO demo_app": (
        "its rows changed while others broke in"
    ),
}
GENEROUS = {
    "CREATE POLICY generous ON public.tickets FOR ALL TO PUBLIC USING (true) WITH CHECK (true)": (
        "UPDATE tickets, every row, PostgreSQL rows: GOT IN: changed"
    ),
    "CREATE UNIQUE INDEX ON public.tickets (id)": (
        "their ticket number, taken again, PostgreSQL rows: GOT IN: a key told that theirs exists"
    ),
}
ABOVE = {"ALTER ROLE demo_app BYPASSRLS": "the run-time login, no session, PostgreSQL database: GOT IN: saw"}


def faults_of(server: PostgresServer, tenancy: Tenancy, statements: Sequence[str]) -> Sequence[str]:
    """Plays the demo on a tampered database and returns the faults it found."""

    def tamper() -> None:
        with psycopg.connect(server.url(world.DATABASE), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    return perform(tenancy, make_customers(tickets=2), stage=Stage(), settled=tamper).faults


@pytest.fixture
def harmless_login(server: PostgresServer) -> Iterator[None]:
    """Takes away afterwards what a test gave the login, which all databases of the server share."""
    yield
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ALTER ROLE demo_app NOBYPASSRLS")
        connection.execute("REVOKE tenantry_operator FROM demo_app")


@pytest.mark.usefixtures("harmless_login")
@pytest.mark.parametrize("planted", [TOGETHER, GENEROUS, ABOVE], ids=["together", "generous policy", "bypassrls"])
def test_every_planted_fault_is_found(server: PostgresServer, tenancy: Tenancy, planted: dict[str, str]) -> None:
    faults = faults_of(server, tenancy, [*planted])
    for wanted in planted.values():
        assert any(wanted in fault for fault in faults), faults


@pytest.fixture
def careless_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the tenant out of the views over SQLite's common tables, from the installation on."""
    filtered, condition = sqlite_wall._view, f"= {sqlite_wall._TENANT})"
    assert condition in filtered(HelpdeskBase.metadata.tables["tickets"])
    monkeypatch.setattr(sqlite_wall, "_view", lambda table: filtered(table).replace(condition, "IS NOT NULL)"))


@pytest.mark.usefixtures("careless_views")
def test_a_view_without_its_filter_is_found(server: PostgresServer, tenancy: Tenancy) -> None:
    faults = faults_of(server, tenancy, [])
    assert any("SELECT * FROM tickets, SQLite rows: GOT IN: saw" in fault for fault in faults), faults
    assert not [fault for fault in faults if "PostgreSQL" in fault or "SQLite file" in fault]
