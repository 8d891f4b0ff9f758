"""What SQLite files keep through a migration: stored names, triggers, indexes, and all of it or nothing."""

from __future__ import annotations

import sqlite3
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tenantry.errors import OrphansFound
from tenantry.fleet.homes import Home
from tenantry.fleet.owning import file_of

from .places import SqlitePlace


def schema(place: SqlitePlace, home: Home | None = None) -> dict[str, str]:
    """Returns what stands in a file, as another connection sees it."""
    path = file_of(home or place.common, place.tenancy.servers.main)
    connection = sqlite3.connect(path)
    try:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    finally:
        connection.close()
    return dict(found)


def triggers(found: dict[str, str]) -> set[str]:
    """Returns the names of the triggers, without what the library says before each."""
    return {name for name, text in found.items() if text.startswith("CREATE TRIGGER")}


@pytest.mark.parametrize("kind", ["common", "file"])
def test_nothing_to_do_leaves_everything_as_it_is(on_sqlite: SqlitePlace, kind: str) -> None:
    home = on_sqlite.common if kind == "common" else on_sqlite.own_home()
    before = schema(on_sqlite, home)
    with on_sqlite.working(home):
        pass
    after = schema(on_sqlite, home)
    assert after.keys() == before.keys()
    assert {name: after[name] for name in triggers(after)} == {name: before[name] for name in triggers(before)}
    assert len(triggers(after)) == (2 if kind == "common" else 1)


@pytest.mark.parametrize("kind", ["common", "file"])
def test_table_made_anew_keeps_its_triggers_and_indexes(on_sqlite: SqlitePlace, kind: str) -> None:
    home = on_sqlite.common if kind == "common" else on_sqlite.own_home()
    before = schema(on_sqlite, home)
    with on_sqlite.working(home) as op:
        op.execute("CREATE INDEX ix_lower ON tickets (tenant_id, lower(subject))")
        op.execute("CREATE INDEX ix_some ON tickets (tenant_id, rank) WHERE rank > 3")
        op.alter_column("tickets", "rank", type_=sa.Text(), existing_type=sa.Integer())
        with op.batch_alter_table("agents") as batch:
            batch.alter_column("colour", nullable=False, server_default="red")
    after = schema(on_sqlite, home)
    assert after.keys() == before.keys() | {"ix_lower", "ix_some"}
    assert "lower(subject)" in after["ix_lower"]
    assert "WHERE rank > 3" in after["ix_some"]
    assert {name: after[name] for name in triggers(after)} == {name: before[name] for name in triggers(before)}


def test_applications_own_triggers_and_views_survive(on_sqlite: SqlitePlace) -> None:
    home = on_sqlite.own_home()
    with on_sqlite.working(home) as op:
        op.execute("CREATE VIEW subjects AS SELECT subject FROM tickets")
        op.execute("CREATE TRIGGER own AFTER INSERT ON tickets BEGIN UPDATE agents SET colour = 'red:x'; END")
        op.execute("CREATE TRIGGER other AFTER DELETE ON agents BEGIN DELETE FROM tickets; END")
    with on_sqlite.working(home) as op:
        op.alter_column("tickets", "rank", type_=sa.Text(), existing_type=sa.Integer())
        op.alter_column("agents", "email", type_=sa.Text(), existing_type=sa.String(100))
    assert {"own", "other", "subjects"} <= schema(on_sqlite, home).keys()
    with on_sqlite.owner(home) as connection:
        assert connection.exec_driver_sql("SELECT * FROM subjects").all() == []
        assert connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar() == 0


@pytest.mark.parametrize("kind", ["common", "file"])
def test_actions_follow_their_tables_and_columns(on_sqlite: SqlitePlace, kind: str) -> None:
    home = on_sqlite.common if kind == "common" else on_sqlite.own_home()
    with on_sqlite.working(home) as op:
        op.rename_table("tickets", "cases")
        op.alter_column("cases", "agent_id", new_column_name="worker_id")
        op.rename_table("agents", "workers")
    found = schema(on_sqlite, home)
    nulling = "tenantry_wall_cases_worker_id_delete" if kind == "common" else "tenantry_set_null_cases_worker_id"
    cascading = {"tenantry_wall_cases_company_id_delete"} if kind == "common" else set()
    assert triggers(found) == {nulling} | cascading
    assert "worker_id" in found[nulling]
    with on_sqlite.working(home) as op, op.batch_alter_table("cases") as batch:
        batch.drop_constraint("fk_tickets_agent_id", type_="foreignkey")
    assert triggers(schema(on_sqlite, home)) == cascading
    with on_sqlite.working(home) as op:
        op.create_foreign_key("fk_again", "cases", "workers", ["worker_id"], ["id"])
    assert triggers(schema(on_sqlite, home)) == cascading


def test_actions_act_on_common_tables(on_sqlite: SqlitePlace) -> None:
    north, south = on_sqlite.populate(tickets=2)
    names = on_sqlite.models
    with on_sqlite.working() as op:
        op.alter_column("tickets", "subject", type_=sa.String(99))
    for tenant in (north, south):
        with on_sqlite.tenancy.transaction(tenant) as db:
            agent = names.Agent(email="a@x.org")
            db.add(agent)
            db.flush()
            db.execute(sa.update(names.Ticket).values(agent_id=agent.id, company_id=tenant.id))
    with on_sqlite.tenancy.transaction(north) as db:
        db.execute(sa.delete(names.Agent))
        assert set(db.scalars(sa.select(names.Ticket.agent_id))) == {None}
        db.execute(sa.delete(names.Company))
        assert db.scalar(sa.select(sa.func.count(names.Ticket.id))) == 0
    with on_sqlite.tenancy.session(south) as db:
        assert None not in set(db.scalars(sa.select(names.Ticket.agent_id)))


def test_column_that_has_to_be_given_is_added_where_no_row_lacks_it(on_sqlite: SqlitePlace) -> None:
    with on_sqlite.working() as op:
        op.add_column("tickets", sa.Column("code", sa.String(9), nullable=False))
        op.add_column("tickets", sa.Column("made", sa.DateTime(), server_default=sa.func.current_timestamp()))
    on_sqlite.tenancy.tenants.create("north", isolation="rows", record={"name": "north"})
    made = schema(on_sqlite)["tickets__rows"]
    assert "code VARCHAR(9) NOT NULL" in made
    assert "CURRENT_TIMESTAMP" in made


def test_failure_leaves_the_file_as_it_was(on_sqlite: SqlitePlace) -> None:
    on_sqlite.populate(tickets=1)
    before = schema(on_sqlite)

    def change() -> None:
        with on_sqlite.working() as op:
            op.drop_column("tickets", "rank")
            op.add_column("tickets", sa.Column("code", sa.String(9), nullable=False))

    with pytest.raises(DBAPIError):
        change()
    assert schema(on_sqlite) == before


def test_orphan_left_by_a_data_step_is_refused(on_sqlite: SqlitePlace) -> None:
    on_sqlite.populate(tickets=1)
    before = schema(on_sqlite)

    def change() -> None:
        with on_sqlite.working() as op:
            op.data(sa.text("UPDATE tickets SET agent_id = :nobody").bindparams(nobody=uuid.uuid4().hex))

    with pytest.raises(OrphansFound, match=r"2 in tickets__rows \(to agents__rows\)"):
        change()
    assert schema(on_sqlite) == before
    assert on_sqlite.rows("SELECT DISTINCT agent_id FROM {tickets}") == [(None,)]


def test_reader_sees_old_or_new(on_sqlite: SqlitePlace) -> None:
    on_sqlite.populate(tickets=1)
    path = file_of(on_sqlite.common, on_sqlite.tenancy.servers.main)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    question = "SELECT count(*) FROM tickets__rows"
    assert reader.execute(question).fetchone() == (2,)
    with on_sqlite.working() as op:
        op.drop_column("tickets", "rank")
        assert reader.execute("SELECT rank FROM tickets__rows").fetchall() == [(0,), (0,)]
    assert reader.execute("SELECT rank FROM tickets__rows").fetchall() == [(0,), (0,)]
    reader.execute("COMMIT")
    assert reader.execute(question).fetchone() == (2,)
    assert "rank" not in schema(on_sqlite)["tickets__rows"]
    reader.close()


def test_shared_tables_of_a_file_answer_to_their_schema(on_sqlite: SqlitePlace) -> None:
    home = on_sqlite.own_home()
    with on_sqlite.working(home) as op:
        op.add_column("countries", sa.Column("name", sa.Text()), schema="tenantry_shared")
        with op.batch_alter_table("countries", schema="tenantry_shared") as batch:
            batch.alter_column("name", nullable=False, server_default="?")
        op.create_index("ix_countries_name", "countries", ["name"], schema="tenantry_shared")
        op.alter_column("countries", "name", new_column_name="title", schema="tenantry_shared")
    found: dict[str, Any] = schema(on_sqlite, home)
    assert "title TEXT DEFAULT '?' NOT NULL" in found["countries"].replace('"', "")
    assert "tenant_id" not in found["ix_countries_name"]
