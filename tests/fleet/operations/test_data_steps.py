"""Rows changed by a revision: every tenant's, counted, and never silently none."""

from __future__ import annotations

import io
import uuid

import psycopg
import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from tenantry.fleet.environment import migration_context, operations
from tenantry.fleet.operations import data_table, touched

from .places import Place, PostgresPlace

RANKS = "SELECT DISTINCT rank FROM {tickets}"


def test_data_step_touches_every_tenant_and_says_how_many(place: Place) -> None:
    place.populate(tickets=3)
    with place.working() as op:
        assert op.data("UPDATE tickets SET rank = 7") == 6
        assert op.data(sa.text("UPDATE tickets SET rank = rank + :more").bindparams(more=1)) == 6
        tickets = sa.table("tickets", sa.column("rank"), sa.column("subject"))
        assert op.data(sa.delete(tickets).where(tickets.c.subject == "north 0")) == 1
        assert touched(op.migration_context) == {"tickets": 13}
    assert place.rows(RANKS) == [(8,)]
    assert place.rows("SELECT count(*) FROM {tickets}") == [(5,)]


BARE = [
    "UPDATE tickets SET rank = 7",
    "  -- update agents\n UPDATE tickets SET rank = 7",
    "/* UPDATE agents */ UPDATE tickets SET rank = 7 WHERE subject <> 'update agents set x = 1'",
    "WITH chosen AS (SELECT id FROM tickets) UPDATE tickets SET rank = 7 WHERE id IN (SELECT id FROM chosen)",
    'UPDATE "tickets" SET rank = 7',
    "UPDATE agents SET email = 'x'; UPDATE tickets SET rank = 7",
    sa.text("UPDATE tickets SET rank = 7"),
    sa.update(sa.table("tickets", sa.column("rank"))).values(rank=7),
]


def test_bare_update_is_not_silently_nothing(place: Place) -> None:
    place.populate(tickets=2)
    for statement in BARE:
        with place.working() as op:
            op.execute("UPDATE tickets SET rank = 1")
            op.execute(statement)
            assert touched(op.migration_context)["tickets"] == 8, statement
        assert place.rows(RANKS) == [(7,)], statement


def test_rows_inserted_in_bulk_are_any_tenants(place: Place) -> None:
    north, south = place.populate(tickets=0)
    agents = sa.table("agents", sa.column("tenant_id", sa.Uuid()), sa.column("id", sa.Uuid()), sa.column("email"))
    rows = [{"tenant_id": tenant.id, "id": uuid.uuid4(), "email": "a@x.org"} for tenant in (north, south)]
    with place.working() as op:
        op.bulk_insert(agents, rows)
        op.execute(sa.insert(agents).values(tenant_id=north.id, id=uuid.uuid4(), email="b@x.org"))
        assert touched(op.migration_context) == {"agents": 3}
    for tenant, expected in ((north, {"a@x.org", "b@x.org"}), (south, {"a@x.org"})):
        with place.tenancy.session(tenant) as db:
            assert set(db.scalars(sa.select(place.models.Agent.email))) == expected


def test_rows_of_nobody_are_the_owners_to_change(on_postgres: PostgresPlace) -> None:
    with on_postgres.working() as op:
        op.execute("INSERT INTO vendors (name) VALUES ('one'), ('two')")
        op.execute("INSERT INTO tenantry_shared.countries (code) VALUES ('de')")
        assert op.data("UPDATE vendors SET name = name || '!'") == 2
        assert touched(op.migration_context) == {"vendors": 2}
    assert on_postgres.rows("SELECT name FROM vendors ORDER BY 1") == [("one!",), ("two!",)]


def test_table_that_the_models_have_forgotten_is_changed_all_the_same(on_postgres: PostgresPlace) -> None:
    on_postgres.populate(tickets=2)
    tenancy = on_postgres.tenancy
    with on_postgres.working() as op:
        op.rename_table("tickets", "cases")
    with on_postgres.working() as op:
        op.execute("UPDATE cases SET rank = 9")
        assert touched(op.migration_context) == {"cases": 4}
    assert on_postgres.rows("SELECT DISTINCT rank FROM cases") == [(9,)]
    written = io.StringIO()
    with operations(migration_context(on_postgres.site(), output=written)) as op:
        op.execute("UPDATE cases SET rank = 10")
        op.execute("UPDATE vendors SET name = 'x'")
    with on_postgres.owner() as connection:
        connection.exec_driver_sql(written.getvalue(), execution_options={"no_parameters": True})
    assert on_postgres.rows("SELECT DISTINCT rank FROM cases") == [(10,)]
    assert tenancy is on_postgres.tenancy


def test_written_sql_marks_its_data_steps(on_postgres: PostgresPlace) -> None:
    north, _ = on_postgres.populate(tickets=2)
    written = io.StringIO()
    with operations(migration_context(on_postgres.site(), output=written)) as op:
        assert op.data("UPDATE tickets SET subject = '100 % :sure'") is None
        agents = sa.table("agents", sa.column("tenant_id", sa.Uuid()), sa.column("id", sa.Uuid()), sa.column("email"))
        op.bulk_insert(agents, [{"tenant_id": north.id, "id": uuid.uuid4(), "email": "a@x.org"}])
        op.execute("UPDATE vendors SET name = 'x'")
    statements = [part.strip() for part in written.getvalue().split(";\n")]
    assert [data_table(part) for part in statements if data_table(part)] == ["tickets", "agents"]
    with psycopg.connect(on_postgres.owner_url) as connection:
        connection.execute(written.getvalue())
    assert on_postgres.rows("SELECT DISTINCT subject FROM tickets") == [("100 % :sure",)]
    assert on_postgres.rows("SELECT tenant_id, email FROM agents") == [(north.id, "a@x.org")]


def test_operators_rights_end_with_the_step(on_postgres: PostgresPlace) -> None:
    on_postgres.populate(tickets=1)
    with on_postgres.working() as op:
        op.data("UPDATE tickets SET rank = 1")
        assert op.get_bind().scalar(sa.text("SELECT current_user = session_user")) is True
        with pytest.raises(DBAPIError, match=r"invalid input syntax for type uuid|tenantry.tenant"):
            op.get_bind().execute(sa.text("SELECT count(*) FROM tickets"))
        op.get_bind().rollback()


def test_rows_are_read_as_the_operator(place: Place) -> None:
    place.populate(tickets=2)
    question = sa.text("SELECT subject FROM tickets WHERE rank = :rank ORDER BY 1").bindparams(rank=1)
    with place.working() as op:
        assert op.rows(question) == [("north 1",), ("south 1",)]
    with operations(migration_context(place.site(), output=io.StringIO())) as op:
        with pytest.raises(CommandError, match="asks the database"):
            op.rows(question)
        with pytest.raises(InvalidRequestError, match="rank"):
            op.data(sa.text("UPDATE tickets SET rank = :rank"))


def test_blind_owner_is_what_the_treatment_is_for(on_postgres: PostgresPlace) -> None:
    on_postgres.populate(tickets=2)
    with psycopg.connect(on_postgres.owner_url) as connection:
        connection.execute(f"SET LOCAL tenantry.tenant = '{uuid.uuid4()}'")
        assert connection.execute("UPDATE tickets SET rank = 7").rowcount == 0


def test_failed_step_changes_nothing(place: Place) -> None:
    place.populate(tickets=1)
    with pytest.raises(DBAPIError), place.working() as op:
        _change_then_fail(op)
    assert place.rows(RANKS) == [(0,)]


def _change_then_fail(op: Operations) -> None:
    op.data("UPDATE tickets SET rank = 7")
    op.data("UPDATE tickets SET subject = NULL")
