"""Other names for the same rows: qualified, physical, reflected, through the system's own catalogs."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Table, Text, select, text, update

from .probes import attempts, each
from .suite import Leak, route


@route
def test_qualified_select(session, world):
    return each(session, [f"SELECT subject FROM {name}" for name in world.spellings("tickets")])


@route
def test_qualified_update(session, world):
    each(session, [f"UPDATE {name} SET subject = 'overwritten'" for name in world.spellings("tickets")])


@route
def test_qualified_delete(session, world):
    each(session, [f"DELETE FROM {name}" for name in world.spellings("comments")])


@route
def test_qualified_insert_select(session, world):
    each(
        session,
        [f"UPDATE tickets SET subject = (SELECT max(note) FROM {name})" for name in world.spellings("agents")],
    )
    return session.execute(text("SELECT subject FROM tickets")).all()


@route
def test_qualified_join_with_own_rows(session, world):
    names = world.spellings("agents")
    return each(session, [f"SELECT other.note FROM tickets JOIN {name} AS other ON true" for name in names])


@route
def test_qualified_link_table(session, world):
    statement = "SELECT t.note FROM {} t"
    return each(session, [statement.format(name) for name in world.spellings("tags")])


@route
def test_table_object_with_a_schema(session, world):
    seen = []
    for name in world.spellings("tickets"):
        schema, _, plain = name.replace('"', "").rpartition(".")
        table = Table(plain, MetaData(), Column("subject", Text), schema=schema or None)
        seen += attempts(session, [lambda t=table: session.execute(select(t)).all()])
        attempts(session, [lambda t=table: session.execute(update(t).values(subject="overwritten"))])
    return seen


@route(dialect="postgresql")
def test_search_path_set_to_the_other(session, world):
    seen = []
    for name in world.spellings("tickets"):
        schema = name.rpartition(".")[0]
        for statement in (f"SET LOCAL search_path = {schema}", f"SET search_path = {schema}"):
            attempts(session, [lambda s=statement: session.execute(text(s))])
            seen += attempts(session, [lambda: session.execute(text("SELECT subject FROM tickets")).all()])
            session.rollback()
    return seen


@route(dialect="postgresql")
def test_search_path_by_set_config(session, world):
    seen = []
    for name in world.spellings("tickets"):
        schema = name.rpartition(".")[0]
        session.execute(text("SELECT set_config('search_path', :schema, true)"), {"schema": schema})
        seen += attempts(session, [lambda: session.scalars(select(world.Ticket.subject)).all()])
        session.rollback()
    return seen


@route(dialect="postgresql")
def test_table_that_only_stands_among_the_common_ones(session, world):
    """Platform tables have no copy in a tenant's schema; a name that is found all the same was found elsewhere."""
    found = session.scalar(text("SELECT to_regclass('vendors')::text"))
    elsewhere = found and world.place.cell == "postgresql-schema"
    return [Leak(f"a tenant's schema leads to {found}")] if elsewhere else each(session, ["SELECT secret FROM vendors"])


@route(dialect="postgresql")
def test_every_table_of_every_schema(session, world):
    found = "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables"
    names = session.execute(text(found + " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')")).scalars()
    return each(session, [f"SELECT t::text FROM {name} t" for name in [*names]])


@route(dialect="postgresql")
def test_every_relation_of_pg_class(session, world):
    found = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f') AND oid > 16000"
    return each(session, [f"TABLE {name}" for name in [*session.execute(text(found)).scalars()]])


@route(dialect="postgresql")
def test_column_statistics(session, world):
    world.ground.outside.analyze()
    return each(
        session,
        [
            "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE tablename = 'tickets'",
            "SELECT stavalues1::text FROM pg_statistic",
            "SELECT most_common_vals::text FROM pg_stats_ext",
        ],
    )


@route(dialect="sqlite")
def test_every_table_of_the_file(session, world):
    seen = each(session, ["SELECT sql FROM sqlite_master"])
    stored = ("tickets__rows", "tickets_rows", "tickets", "ticket_overview", "agents__rows", "agents")
    return [seen, *each(session, [f'SELECT * FROM main."{name}"' for name in stored])]
