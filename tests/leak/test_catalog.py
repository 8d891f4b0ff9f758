"""The catalog itself: other tenants' names, settings and places stand there."""

from __future__ import annotations

import uuid

from sqlalchemy import text

from .probes import attempts, each
from .suite import Leak, route

TABLES = ("tenants", "identities", "servers", "placements", "journal", "settings", "upgrades", "operators", "audit")


@route(dialect="postgresql")
def test_catalog_tables(session, world):
    return each(session, [f"SELECT t::text FROM tenantry.{table} t" for table in TABLES])


@route(dialect="postgresql")
def test_every_relation_in_the_catalogs_schema(session, world):
    found = (
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('tenantry') AND relkind IN ('r', 'v', 'm')"
    )
    names = [*session.execute(text(found)).scalars()]
    return each(session, [f'SELECT t::text FROM tenantry."{name}" t' for name in names])


@route(dialect="postgresql")
def test_catalog_tables_written(session, world):
    before = world.ground.outside.catalog()
    each(session, [f"UPDATE tenantry.{table} SET id = id" for table in TABLES])
    each(session, [f"UPDATE tenantry.tenants SET {column} = 'overwritten'" for column in ("name", "slug", "status")])
    each(session, [f"DELETE FROM tenantry.{table}" for table in TABLES])
    after = world.ground.outside.catalog()
    world.ground.outside.restore_catalog(before)
    return [Leak("the catalog changed")] if before != after else None


@route(dialect="postgresql")
def test_catalog_tables_filled(session, world):
    before = world.ground.outside.catalog()
    each(session, [f"INSERT INTO tenantry.tenants (id, slug, name) VALUES ('{uuid.uuid4()}', 'planted', 'planted')"])
    after = world.ground.outside.catalog()
    world.ground.outside.restore_catalog(before)
    return [Leak("the catalog grew")] if before != after else None


@route(dialect="postgresql")
def test_every_function_of_the_catalog(session, world):
    """Calls each function with what an attacker knows of B: its id, its slug, and wild cards."""
    found = (
        "SELECT p.oid::regproc::text, p.pronargs, p.proargtypes::regtype[]::text[] FROM pg_proc p"
        " WHERE pronamespace = to_regnamespace('tenantry') AND prokind = 'f' AND prorettype <> 'trigger'::regtype"
    )
    guesses = {
        "uuid": [f"'{world.b.id}'", "NULL"],
        "text": [f"'{world.b.slug}'", "'slug'", "'id'", f"'{world.b.id}'"],
        "bigint": ["1"],
        "integer": ["1"],
    }
    calls = []
    for name, _, kinds in session.execute(text(found)).all():
        arguments = [[]]
        for kind in kinds:
            arguments = [[*before, guess] for before in arguments for guess in guesses.get(kind, ["NULL"])]
        calls += [f"SELECT r::text FROM {name}({', '.join(chosen)}) r" for chosen in arguments]
    return each(session, calls)


def _answers(world):
    return [
        f"SELECT r::text FROM tenantry.resolve('{kind}', '{value}') r"
        for kind, value in (("slug", world.b.slug), ("id", world.b.id), ("slack_team", f"{world.b.canary} team"))
    ]


@route(dialect="postgresql")
def test_functions_after_a_commit_in_text(session, world):
    return [_after(session, "COMMIT", question) for question in _answers(world)]


def _after(session, first, statement):
    seen = attempts(session, [lambda s=s: session.execute(text(s)) for s in (first, statement)])
    session.rollback()
    return seen


@route(dialect="postgresql")
def test_functions_on_a_connection_without_a_tenant(session, world):
    engine = session.connection().engine
    session.close()
    with engine.connect() as connection:
        return attempts(connection, [lambda q=q: connection.execute(text(q)) for q in _answers(world)])


@route(dialect="postgresql")
def test_function_after_the_end_of_the_transaction(session, world):
    """In one message: what follows the COMMIT runs before the client could notice that the tenant is gone."""
    name = f"(SELECT name FROM tenantry.resolve('slug', '{world.b.slug}'))"
    shout = f"DO $$ BEGIN RAISE EXCEPTION '%', {name}; END $$"
    messages = [f"{end}; {shout}" for end in ("COMMIT", "ROLLBACK", "COMMIT AND CHAIN")]
    return [
        *each(session, messages),
        *attempts(session, [lambda m=message: world.script(session, m) for message in messages]),
    ]


@route(dialect="postgresql")
def test_names_of_tenants_in_the_systems_catalogs(session, world):
    found = [
        "SELECT nspname || obj_description(oid) FROM pg_namespace",
        "SELECT description FROM pg_description",
        "SELECT datname || shobj_description(oid, 'pg_database') FROM pg_database",
        "SELECT rolname || array_to_string(rolconfig, ' ') FROM pg_roles",
        "SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting",
        "SELECT name FROM tenantry.tenants",
        "SELECT application_name FROM pg_stat_activity",
        "SELECT umoptions::text FROM pg_user_mappings",
    ]
    return each(session, found)


@route(dialect="sqlite")
def test_catalog_file_attached(session, world):
    seen = []
    for file in world.ground.catalog_files():
        statements = [f"ATTACH DATABASE '{file}' AS leak_catalog", *[f"SELECT * FROM leak_catalog.{t}" for t in TABLES]]
        seen += attempts(session, [lambda s=s: world.driver(session, s) for s in statements])
    return seen


@route(dialect="sqlite")
def test_catalog_tables_from_the_tenants_file(session, world):
    return each(session, [f"SELECT * FROM {schema}{table}" for schema in ("", "main.", "catalog.") for table in TABLES])
