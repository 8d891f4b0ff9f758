"""Walls stand from the moment a table is made, through whatever happens to it."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.exc import DBAPIError

from tenantry.errors import ConfigurationError, TenantColumnKept
from tenantry.fleet.homes import Home, common_homes

from .places import Place, PostgresPlace, SqlitePlace

WALLS = """
SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, array_agg(p.polname ORDER BY p.polname)::text[]
FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relname = 'notes' GROUP BY 1, 2
"""
# The owner of this installation may not give BYPASSRLS away, so its operator has a policy.
WALLED = [("notes", True, ["tenantry_isolation", "tenantry_operator"])]


def _notes() -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(20)),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_notes"),
    ]


def test_new_table_is_walled_even_if_nobody_says_so(on_postgres: PostgresPlace) -> None:
    with on_postgres.working() as op:
        op.create_table("notes", *_notes())
    assert on_postgres.rows(WALLS) == WALLED


def test_wall_stays_through_changes(on_postgres: PostgresPlace) -> None:
    with on_postgres.working() as op:
        op.create_table("papers", *_notes())
        op.wall("papers")
        op.rename_table("papers", "notes")
        op.add_column("notes", sa.Column("more", sa.Text(), nullable=False, server_default=""))
        op.alter_column("notes", "text", new_column_name="body", type_=sa.Text())
        op.drop_column("notes", "more")
        with op.batch_alter_table("notes") as batch:
            batch.add_column(sa.Column("again", sa.Text()))
            batch.create_unique_constraint("uq_notes_again", ["again"])
    assert on_postgres.rows(WALLS) == WALLED


def test_same_through_sessions(place: Place) -> None:
    north, south = place.populate(tickets=1)
    with place.working() as op:
        op.create_table("notes", *_notes())
        op.wall("notes")
    if not place.on_postgres:
        # Another process, whose models know the table: this one's connections have raised their walls.
        sa.Table("notes", place.models.Base.metadata, *_notes(), info={"tenantry": "tenant"})
        place.tenancy = place.open(place.models.Base)
    for tenant in (north, south):
        with place.tenancy.transaction(tenant) as db:
            spelled = str(tenant.id) if place.on_postgres else tenant.id.hex
            db.execute(sa.text(f"INSERT INTO notes (tenant_id, id, text) VALUES ('{spelled}', '{spelled}', 'x')"))
            assert db.scalar(sa.text("SELECT count(*) FROM notes")) == 1
            with pytest.raises(DBAPIError):
                db.execute(sa.text(f"INSERT INTO notes (tenant_id, id) VALUES ('{'0' * 32}', '{'0' * 32}')"))
            db.rollback()


@pytest.mark.parametrize("change", ["drop", "rename", "nullable", "batch"])
def test_tenant_column_stays(place: Place, change: str) -> None:
    def act() -> None:
        with place.working() as op:
            if change == "drop":
                op.drop_column("tickets", "tenant_id")
            elif change == "rename":
                op.alter_column("tickets", "tenant_id", new_column_name="owner")
            elif change == "nullable":
                op.alter_column("tickets", "tenant_id", nullable=True)
            else:
                with op.batch_alter_table("tickets") as batch:
                    batch.drop_column("tenant_id")

    with pytest.raises(TenantColumnKept, match="tickets"):
        act()


def test_wall_taken_down_takes_every_right_along(on_postgres: PostgresPlace) -> None:
    on_postgres.populate(tickets=1)
    with on_postgres.working() as op:
        op.unwall("tickets")
    with psycopg.connect(on_postgres.urls["app"]) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("SELECT * FROM public.tickets")
    with on_postgres.working() as op:
        op.wall("tickets")
    assert "pass" in on_postgres.compare()


def test_platforms_table_is_made_where_it_belongs(place: Place) -> None:
    home = place.own_home("schema" if place.on_postgres else "database")
    held = {}
    for one in [*_common_homes(place), home]:
        with place.working(one) as op:
            held[str(one.kind)] = op.holds("platform"), op.holds("shared"), op.holds("tenant")
            if op.holds("platform"):
                name = sa.Column("name", sa.String(9))
                op.create_table("plans", sa.Column("id", sa.Integer(), primary_key=True), name)
                op.grant_platform("plans")
    expected = (
        {"common": (True, True, True), "schema": (False, False, True)}
        if place.on_postgres
        else {"platform": (True, True, False), "common": (False, True, True), "file": (False, True, True)}
    )
    assert held == expected
    with place.tenancy.platform() as db:
        db.execute(sa.text("INSERT INTO plans (name) VALUES ('free')"))
        assert db.execute(sa.text("SELECT * FROM plans")).all() == [(1, "free")]


def test_shared_table_is_read_by_tenants_and_written_by_the_platform(on_postgres: PostgresPlace) -> None:
    north, _ = on_postgres.populate(tickets=0)
    with on_postgres.working() as op:
        op.create_table("currencies", sa.Column("code", sa.String(3), primary_key=True), schema="tenantry_shared")
        op.share("currencies")
    with on_postgres.tenancy.platform() as db:
        db.execute(sa.text("INSERT INTO tenantry_shared.currencies VALUES ('eur')"))
        db.commit()
    with on_postgres.tenancy.session(north) as db:
        assert db.scalar(sa.text("SELECT code FROM tenantry_shared.currencies")) == "eur"
        with pytest.raises(DBAPIError, match="permission denied"):
            db.execute(sa.text("DELETE FROM tenantry_shared.currencies"))


def test_walled_tables_are_no_business_of_the_platforms_file(on_sqlite: SqlitePlace) -> None:
    platform, common = _common_homes(on_sqlite)
    for home in (platform, common):
        with on_sqlite.working(home) as op:
            op.create_table("notes", *_notes())
            op.add_column("tickets", sa.Column("more", sa.Text()))
            op.execute("UPDATE tickets SET more = 'x'")
            op.execute("CREATE INDEX ix_more ON tickets (tenant_id, more)")
            op.create_unique_constraint("uq_notes_text", "notes", ["text"])
            with op.batch_alter_table("tickets") as batch:
                batch.alter_column("more", type_=sa.String(30))
            op.drop_index("ix_more", table_name="tickets")
            op.drop_column("tickets", "more")
            op.rename_table("notes", "papers")
            op.execute("DELETE FROM papers")
            op.drop_table("papers")
    with on_sqlite.owner(platform) as connection:
        assert set(sa.inspect(connection).get_table_names()) == {"vendors"}


def test_our_words_say_where_they_belong() -> None:
    with sa.create_engine("sqlite://").connect() as connection:
        op = Operations(MigrationContext.configure(connection))
        with pytest.raises(ConfigurationError, match=r"env\.py"):
            op.wall("tickets")
    connection.engine.dispose()


def _common_homes(place: Place) -> list[Home]:
    return common_homes(place.tenancy.servers.main)
