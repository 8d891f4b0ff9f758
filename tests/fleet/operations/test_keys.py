"""Foreign keys, types and constraints: lifted, and checked on every tenant's rows although the owner is blind."""

from __future__ import annotations

import io
import uuid
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from tenantry.errors import OrphansFound
from tenantry.fleet.environment import migration_context, operations

from .places import Place, PostgresPlace, SqlitePlace

FORCED = "SELECT relname FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity"


def _make_notes(place: Place) -> None:
    with place.working() as op:
        op.create_table(
            "notes",
            sa.Column("tenant_id", sa.Uuid(), nullable=False),
            sa.Column("id", sa.Uuid(), nullable=False),
            sa.Column("ticket_id", sa.Uuid()),
            sa.Column("text", sa.String(20)),
            sa.PrimaryKeyConstraint("id", name="pk_notes"),
        )


def _add_note(place: Place, tenant: Any, ticket: uuid.UUID) -> None:
    notes = sa.table("notes", *(sa.column(name, sa.Uuid()) for name in ("tenant_id", "id", "ticket_id")))
    with place.working() as op:
        op.execute(sa.insert(notes).values(tenant_id=tenant.id, id=uuid.uuid4(), ticket_id=ticket))


def _ticket_of(place: Place, tenant: Any) -> uuid.UUID:
    with place.tenancy.session(tenant) as db:
        found: uuid.UUID = db.scalars(sa.select(place.models.Ticket.id).limit(1)).one()
    return found


def _add_key(place: Place) -> None:
    with place.working() as op:
        op.create_foreign_key("fk_notes_ticket", "notes", "tickets", ["ticket_id"], ["id"], ondelete="SET NULL")


def test_orphan_makes_a_foreign_key_fail(place: Place) -> None:
    north, _ = place.populate()
    _make_notes(place)
    _add_note(place, north, uuid.uuid4())
    with pytest.raises((OrphansFound, DBAPIError), match=r"notes"):
        _add_key(place)
    _assert_unchanged(place)


def test_row_of_another_tenant_is_an_orphan(place: Place) -> None:
    north, south = place.populate()
    _make_notes(place)
    _add_note(place, north, _ticket_of(place, south))
    with pytest.raises((OrphansFound, DBAPIError), match=r"notes"):
        _add_key(place)
    _assert_unchanged(place)


def test_key_without_orphans_is_made_and_lifted(place: Place) -> None:
    north, _ = place.populate()
    _make_notes(place)
    _add_note(place, north, _ticket_of(place, north))
    _add_key(place)
    with place.owner() as connection:
        name = "notes" if place.on_postgres else "notes__rows"
        (key,) = sa.inspect(connection).get_foreign_keys(name)
    assert key["constrained_columns"] == ["tenant_id", "ticket_id"]
    assert key["referred_columns"] == ["tenant_id", "id"]
    sa.Table(
        "notes",
        place.models.Base.metadata,
        sa.Column("tenant_id", sa.Uuid(), primary_key=True),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("ticket_id", sa.Uuid(), sa.ForeignKey("tickets.id", ondelete="SET NULL")),
        info={"tenantry": "tenant"},
    )
    place.tenancy = place.open(place.models.Base)
    with place.tenancy.transaction(north) as db:
        db.execute(sa.text("DELETE FROM tickets"))
    assert place.rows("SELECT ticket_id FROM {notes}") == [(None,)]


def _assert_unchanged(place: Place) -> None:
    if place.on_postgres:
        assert place.rows("SELECT conname FROM pg_constraint WHERE conname = 'fk_notes_ticket'") == []
        assert place.rows(FORCED) == []
    else:
        (made,) = place.rows("SELECT sql FROM sqlite_master WHERE name = 'notes__rows'")[0]
        assert "fk_notes_ticket" not in made


def test_blind_owner_would_have_seen_no_orphan(on_postgres: PostgresPlace) -> None:
    north, south = on_postgres.populate(tickets=1)
    _make_notes(on_postgres)
    _add_note(on_postgres, north, uuid.uuid4())
    with psycopg.connect(on_postgres.owner_url) as connection:
        connection.execute(f"SET LOCAL tenantry.tenant = '{south.id}'")
        connection.execute(
            "ALTER TABLE notes ADD CONSTRAINT blind FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets"
        )
        validated = "SELECT convalidated FROM pg_constraint WHERE conname = 'blind'"
        assert connection.execute(validated).fetchone() == (True,)
        connection.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE notes ADD CONSTRAINT fk_notes_ticket FOREIGN KEY (tenant_id, ticket_id) REFERENCES tickets",
        "ALTER TABLE notes VALIDATE CONSTRAINT fk_notes_later",
    ],
)
def test_key_given_as_text_sees_the_orphan_too(on_postgres: PostgresPlace, statement: str) -> None:
    north, _ = on_postgres.populate()
    _make_notes(on_postgres)
    _add_note(on_postgres, north, uuid.uuid4())
    with on_postgres.working() as op:
        op.create_foreign_key("fk_notes_later", "notes", "tickets", ["ticket_id"], ["id"], postgresql_not_valid=True)
    with pytest.raises(DBAPIError, match="violates foreign key constraint"), on_postgres.working() as op:
        op.execute(statement)
    assert on_postgres.rows(FORCED) == []


def test_validation_outside_a_transaction_is_one_of_its_own(on_postgres: PostgresPlace) -> None:
    north, _ = on_postgres.populate(tickets=1)
    _make_notes(on_postgres)
    _add_note(on_postgres, north, uuid.uuid4())
    on_postgres.write(
        "first",
        upgrade="""op.create_foreign_key(
        'later', 'notes', 'tickets', ['tenant_id', 'ticket_id'], ['tenant_id', 'id'], postgresql_not_valid=True
    )
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE notes VALIDATE CONSTRAINT later')
        op.execute('UPDATE tickets SET rank = 8')
        op.execute('CREATE INDEX CONCURRENTLY ix_rank ON tickets (tenant_id, rank)')""",
    )
    with pytest.raises(DBAPIError, match="violates foreign key constraint"):
        on_postgres.migrate_by_itself()
    assert on_postgres.rows(FORCED) == []
    assert on_postgres.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'later'") == [(False,)]
    with on_postgres.working() as op:
        op.execute("DELETE FROM notes")
        op.drop_constraint("later", "notes")
    written = on_postgres.written()
    on_postgres.migrate_by_itself()
    assert on_postgres.rows("SELECT DISTINCT rank FROM tickets") == [(8,)]
    assert on_postgres.rows(FORCED) == []
    with on_postgres.working() as op:
        op.drop_constraint("later", "notes")
        op.drop_index("ix_rank")
        op.execute("UPDATE tickets SET rank = 1; DROP TABLE alembic_version")
    with psycopg.connect(on_postgres.owner_url, autocommit=True) as connection:
        for statement in written.split(";\n"):
            connection.execute(statement)
    assert on_postgres.rows("SELECT DISTINCT rank FROM tickets") == [(8,)]
    assert on_postgres.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'later'") == [(True,)]
    assert on_postgres.rows(FORCED) == []


def test_type_of_a_key_changes_where_rows_are_whole(on_postgres: PostgresPlace) -> None:
    north, _ = on_postgres.populate()
    with on_postgres.working() as op:
        op.create_table(
            "things",
            sa.Column("tenant_id", sa.Uuid(), primary_key=True),
            sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
            sa.Column("of_id", sa.Integer(), sa.ForeignKey("things.id")),
        )
        op.execute(f"INSERT INTO things VALUES ('{north.id}', 1, NULL), ('{north.id}', 2, 1)")
    with on_postgres.working() as op:
        op.alter_column("things", "of_id", type_=sa.BigInteger())
    assert on_postgres.rows("SELECT of_id FROM things ORDER BY id") == [(None,), (1,)]
    assert on_postgres.rows(FORCED) == []


def test_unique_constraints_and_indexes_begin_with_the_tenant(place: Place) -> None:
    with place.working() as op:
        op.create_unique_constraint("uq_agents_colour", "agents", ["colour"])
        op.create_index("ix_agents_colour", "agents", ["colour"])
        op.add_column("agents", sa.Column("code", sa.String(9), unique=True, index=False))
    with place.owner() as connection:
        inspector = sa.inspect(connection)
        name = "agents" if place.on_postgres else "agents__rows"
        uniques = {unique["name"]: unique["column_names"] for unique in inspector.get_unique_constraints(name)}
        indexes = {index["name"]: index["column_names"] for index in inspector.get_indexes(name)}
    assert uniques["uq_agents_colour"] == indexes["ix_agents_colour"] == ["tenant_id", "colour"]
    assert ["tenant_id", "code"] in uniques.values()


def test_column_that_refers_is_lifted(place: Place) -> None:
    with place.working() as op:
        op.add_column("tickets", sa.Column("second_id", sa.Uuid(), sa.ForeignKey("agents.id", ondelete="CASCADE")))
    with place.owner() as connection:
        keys = sa.inspect(connection).get_foreign_keys("tickets" if place.on_postgres else "tickets__rows")
    assert ["tenant_id", "second_id"] in [key["constrained_columns"] for key in keys]


def test_key_of_an_unknown_table_is_not_guessed(on_postgres: PostgresPlace) -> None:
    with operations(migration_context(on_postgres.site(), output=io.StringIO())) as op:
        for referred in ("tickets", "somethings"):
            with pytest.raises(CommandError, match="whose the table notes is"):
                op.create_foreign_key("fk", "notes", referred, ["other_id"], ["id"])
        with pytest.raises(CommandError, match="whose the table notes is"):
            op.create_index("ix", "notes", ["text"])
        op.create_index("ix", "notes", ["tenant_id", "text"])
        op.create_check_constraint("ck", "notes", "text <> ''")


def test_keys_to_shared_tables_stay_as_they_are(on_postgres: PostgresPlace) -> None:
    with on_postgres.working() as op:
        op.add_column("tickets", sa.Column("country", sa.String(2)))
        op.create_foreign_key(
            "fk_tickets_country", "tickets", "countries", ["country"], ["code"], referent_schema="tenantry_shared"
        )
    with on_postgres.owner() as connection:
        keys = {key["name"]: key for key in sa.inspect(connection).get_foreign_keys("tickets")}
    assert keys["fk_tickets_country"]["constrained_columns"] == ["country"]


def test_keys_of_a_file_are_lifted_as_well(on_sqlite: SqlitePlace) -> None:
    home = on_sqlite.own_home()
    with on_sqlite.working(home) as op:
        op.add_column("tickets", sa.Column("second_id", sa.Uuid()))
        op.create_foreign_key("fk_second", "tickets", "agents", ["second_id"], ["id"], ondelete="SET NULL")
    with on_sqlite.owner(home) as connection:
        triggers = set(connection.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    assert triggers == {"tenantry_set_null_tickets_agent_id", "tenantry_set_null_tickets_second_id"}
