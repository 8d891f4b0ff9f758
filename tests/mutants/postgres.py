"""Faults in the wall inside PostgreSQL: policies, keys, grants, logins, the catalog's functions."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.engine import make_url

from mutants.mutant import mutant, replace, silence, wrap
from tenantry.catalog import upgrades
from tenantry.isolation import logins, schema, wall
from tenantry.isolation.postgres import PostgresServer
from tenantry.models import foreign_keys, indexes
from tenantry.provision import installing

# The leak suite forgets it once it has read it; a superuser must be had from somewhere.
_SERVER = os.environ.get("TENANTRY_TEST_URLS", "")

ROWS = "postgresql-rows-sync"
SCHEMA = "postgresql-schema-sync"


def _trust_the_server(patch: pytest.MonkeyPatch) -> None:
    """Has the library believe that all walls stand and that its login is harmless, as if it never looked."""

    def believe(server: PostgresServer, _: object) -> None:
        server.walled = server._checked = True

    patch.setattr(PostgresServer, "check_login", believe)


def _trust_the_models(patch: pytest.MonkeyPatch) -> None:
    """Has the library refuse no models, as if its linter never looked."""
    patch.setattr(installing, "lint", lambda _: [])


def _leave_unwalled(patch: pytest.MonkeyPatch, name: str) -> None:
    original = wall._wall

    def some(table: Table, *args: Any) -> list[str]:
        return [] if table.name == name else original(table, *args)

    patch.setattr(wall, "_wall", some)
    _trust_the_server(patch)


@mutant(
    "FORCE ROW LEVEL SECURITY is left out, so views and functions of the owner look past the policies",
    places=f"{ROWS} {SCHEMA}",
    routes="test_views_and_functions::test_view test_views_and_functions::test_definer_function",
)
def force_dropped(patch: pytest.MonkeyPatch) -> None:
    wrap(patch, wall, "_wall", lambda lines: [line for line in lines if "FORCE ROW" not in line])
    replace(patch, wall, "_new_wall", ", FORCE ROW LEVEL SECURITY", "")
    _trust_the_server(patch)


@mutant(
    "ENABLE ROW LEVEL SECURITY is left out",
    places=ROWS,
    routes="test_text_sql::test_select test_core_tables::test_select",
)
def row_security_not_enabled(patch: pytest.MonkeyPatch) -> None:
    wrap(patch, wall, "_wall", lambda lines: [line for line in lines if "ENABLE ROW" not in line])
    _trust_the_server(patch)


@mutant(
    "the policy's condition for what is seen is true",
    places=f"{ROWS} postgresql-rows-async-asyncpg",
    routes="test_text_sql::test_select test_text_sql::test_delete",
)
def policy_using_true(patch: pytest.MonkeyPatch) -> None:
    wrap(patch, wall, "_wall", lambda lines: [_with_condition(line, "USING") for line in lines])


@mutant(
    "the policy's condition for what is written is true",
    places=ROWS,
    routes="test_tenant_column::test_rows_given_away_by_text test_text_sql::test_insert_for_the_foreign_tenant",
)
def policy_with_check_true(patch: pytest.MonkeyPatch) -> None:
    wrap(patch, wall, "_wall", lambda lines: [_with_condition(line, "WITH CHECK") for line in lines])


def _with_condition(line: str, clause: str) -> str:
    if wall.POLICY not in line or not line.startswith("CREATE"):
        return line
    head, _, tail = line.partition(f" {clause} (")
    rest = tail.partition(" WITH CHECK")
    return f"{head} {clause} (true){rest[1]}{rest[2]}"


@mutant(
    "where no tenant is set every row is seen, and statements without a tenant are let through",
    places=ROWS,
    routes="test_context::test_qualified_names_without_a_tenant",
)
def policy_open_without_a_tenant(patch: pytest.MonkeyPatch) -> None:
    asked = "(select current_setting('tenantry.tenant')::uuid)"
    told = "(select nullif(current_setting('tenantry.tenant', true), '')::uuid)"
    replace(patch, wall, "_wall", asked, f"coalesce({told}, tenant_id)")
    let_unbound_statements_through(patch)


def let_unbound_statements_through(patch: pytest.MonkeyPatch) -> None:
    """Has no connection refuse a statement that no tenant was bound to."""
    from tenantry.isolation.drivers import asyncpg as asyncpg_driver
    from tenantry.isolation.drivers import psycopg as psycopg_driver

    for connection in (psycopg_driver._Watched, asyncpg_driver.BoundConnection):
        silence(patch, connection, "close_to_unbound")


@mutant(
    "the operator's policy, which shows every row, is made for everybody",
    places=ROWS,
    routes="test_orm_select::test_every_row test_text_sql::test_select",
)
def operator_policy_for_everybody(patch: pytest.MonkeyPatch) -> None:
    replace(patch, wall, "_wall", "_operator USING (true)", "_app USING (true)")


@mutant(
    "link tables are forgotten when the walls are made",
    places=ROWS,
    routes="test_link_tables::test_count test_link_tables::test_every_link_deleted",
)
def link_tables_forgotten(patch: pytest.MonkeyPatch) -> None:
    _leave_unwalled(patch, "ticket_tags")


@mutant(
    "tables of joined-inheritance children are forgotten when the walls are made",
    places=ROWS,
    routes="test_inheritance::test_child_table_alone test_inheritance::test_child_table_as_text",
)
def child_tables_forgotten(patch: pytest.MonkeyPatch) -> None:
    _leave_unwalled(patch, "bug_tickets")


@mutant(
    "tables in tenants' schemas get no walls",
    places=SCHEMA,
    routes="test_names::test_qualified_select test_names::test_search_path_set_to_the_other",
)
def schemas_without_walls(patch: pytest.MonkeyPatch) -> None:
    wrap(patch, wall, "_new_wall", lambda lines: [line for line in lines if "ROW LEVEL SECURITY" not in line])


@mutant(
    "the search path of a tenant's schema goes on to the common tables",
    places=SCHEMA,
    routes="test_names::test_table_that_only_stands_among_the_common_ones",
)
def search_path_goes_on_to_public(patch: pytest.MonkeyPatch) -> None:
    replace(patch, schema.PostgresSchema, "_path", ", pg_temp", ", public, pg_temp")


@mutant(
    "foreign keys to agents stay as they were declared: they compare the id alone",
    places=f"{ROWS} sqlite-rows-sync",
    routes="test_foreign_keys::test_foreign_agent_assigned_by_id test_oracles::test_foreign_key_by_update",
)
def foreign_keys_single(patch: pytest.MonkeyPatch) -> None:
    lift = foreign_keys._lift

    def single(table: Table, key: Any) -> bool:
        target = foreign_keys.target_table(key)
        return True if target is not None and target.name == "agents" else lift(table, key)

    patch.setattr(foreign_keys, "_lift", single)
    _trust_the_models(patch)
    _declare_unique_ids(patch)


def _declare_unique_ids(patch: pytest.MonkeyPatch) -> None:
    """Makes the id of agents unique by itself, as a key that compares it alone demands."""
    lift = indexes.lift_primary_key

    def lifted(table: Table) -> None:
        lift(table)
        if table.name == "agents" and not any(_is_on_id_alone(each) for each in table.constraints):
            table.append_constraint(UniqueConstraint("id", name="agents_id_alone"))

    patch.setattr(indexes, "lift_primary_key", lifted)
    begins = indexes.begins_with_tenant
    patch.setattr(indexes, "begins_with_tenant", lambda key: _is_on_id_alone(key) or begins(key))


def _is_on_id_alone(constraint: Any) -> bool:
    return isinstance(constraint, UniqueConstraint) and [column.name for column in constraint.columns] == ["id"]


@mutant(
    "what is declared unique stays unique across tenants",
    places=f"{ROWS} sqlite-rows-sync",
    routes="test_oracles::test_unique_email test_oracles::test_unique_email_by_update",
)
def unique_across_tenants(patch: pytest.MonkeyPatch) -> None:
    silence(patch, indexes, "lift_unique_constraints")
    _trust_the_models(patch)


@mutant(
    "sessions run as a superuser, and nobody looks at the login",
    places=ROWS,
    routes="test_text_sql::test_select test_text_sql::test_update",
)
def superuser_login(patch: pytest.MonkeyPatch) -> None:
    _after_each_login(patch, "ALTER ROLE {login} SUPERUSER")


@mutant(
    "sessions run as a login with BYPASSRLS, and nobody looks at the login",
    places=ROWS,
    routes="test_text_sql::test_select test_copy::test_query_to_the_client",
)
def bypassing_login(patch: pytest.MonkeyPatch) -> None:
    _after_each_login(patch, "ALTER ROLE {login} BYPASSRLS")


@mutant(
    "sessions run as the tables' owner, and nobody looks at the login",
    places=ROWS,
    routes="test_roles::test_wall_taken_down test_roles::test_policy_added",
)
def owners_login(patch: pytest.MonkeyPatch) -> None:
    tables = "SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    change = "EXECUTE format('ALTER TABLE %s OWNER TO {login}', found.name)"
    _after_each_login(patch, f"DO $$ DECLARE found record; BEGIN FOR found IN {tables} LOOP {change}; END LOOP; END $$")


@mutant(
    "the application's login may take the operator's role",
    places=ROWS,
    routes="test_roles::test_set_role test_roles::test_role_by_set_config",
)
def login_in_the_operators_role(patch: pytest.MonkeyPatch) -> None:
    _after_each_login(patch, "GRANT {prefix}_operator TO {login}")


def _after_each_login(patch: pytest.MonkeyPatch, statement: str) -> None:
    """Gives every login made for the application more than it should have."""
    make = logins.make_login

    def generous(server: PostgresServer, name: str, *, role: str) -> str:
        url = make(server, name, role=role)
        if role == "app":
            names = {"login": sql.Identifier(name), "prefix": sql.SQL(server.config.role_prefix)}
            admin = make_url(_SERVER).set(database=server.database).render_as_string(hide_password=False)
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(sql.SQL(statement).format(**names))
        return url

    patch.setattr("tenantry.tenancy.make_login", generous)
    _trust_the_server(patch)


@mutant(
    "the application may read Platform tables",
    places=ROWS,
    routes="test_orm_select::test_platform_table test_names::test_every_table_of_every_schema",
)
def platform_tables_granted(patch: pytest.MonkeyPatch) -> None:
    def granting(table: Table, config: Any) -> list[str]:
        return [f"GRANT SELECT ON {wall.qualified(table)} TO {config.role('app')}"]

    patch.setattr(wall, "_grants_of_platform", _both(wall._grants_of_platform, granting))


def _both(first: Any, second: Any) -> Any:
    return lambda *args: [*first(*args), *second(*args)]


@mutant(
    "the application may read the catalog's tables",
    places=ROWS,
    routes="test_catalog::test_catalog_tables test_catalog::test_every_relation_in_the_catalogs_schema",
)
def catalog_granted(patch: pytest.MonkeyPatch) -> None:
    def granting(config: Any) -> list[str]:
        return [f"GRANT SELECT ON ALL TABLES IN SCHEMA tenantry TO {config.role('app')}"]

    patch.setattr(upgrades, "_grants", _both(upgrades._grants, granting))


@mutant(
    "the catalog's functions answer inside a tenant's transaction",
    places=f"{ROWS} {SCHEMA}",
    routes="test_catalog::test_every_function_of_the_catalog",
)
def catalog_answers_tenants(patch: pytest.MonkeyPatch) -> None:
    # A notice refuses nothing.
    replace(patch, upgrades, "_functions", "RAISE EXCEPTION 'the catalog answers", "RAISE NOTICE 'the catalog answers")
