"""Views and functions that somebody planted beside the tables, owned by whoever owns the tables."""

from __future__ import annotations

from sqlalchemy import column, select, table, text

from .probes import each, more_than_own
from .suite import route


def _beside(world, name):
    """Every spelling of a thing planted in the schema where B's tickets stand, and the bare name."""
    schemas = {spelling.rpartition(".")[0] for spelling in world.spellings("tickets")}
    return [name, *[f"{schema}.{name}" for schema in sorted(schemas) if schema]]


@route
def test_view(session, world):
    return each(session, [f"SELECT * FROM {name}" for name in _beside(world, "ticket_overview")])


@route(dialect="postgresql")
def test_view_with_the_readers_rights(session, world):
    return each(session, [f"SELECT * FROM {name}" for name in _beside(world, "ticket_overview_invoker")])


@route(dialect="postgresql")
def test_view_as_a_table_object(session, world):
    view = table(
        "ticket_overview", column("subject"), schema=world.spellings("tickets")[0].rpartition(".")[0].strip('"')
    )
    return session.execute(select(view)).all()


@route(dialect="postgresql")
def test_view_written(session, world):
    each(session, [f"UPDATE {name} SET subject = 'overwritten'" for name in _beside(world, "ticket_overview")])


@route(dialect="postgresql")
def test_view_deleted_from(session, world):
    names = _beside(world, "ticket_overview")
    each(session, [f"DELETE FROM {name} WHERE number = {world.b.first_number + 3}" for name in names])


@route(dialect="postgresql")
def test_definer_function(session, world):
    return each(session, [f"SELECT {name}()" for name in _beside(world, "ticket_subjects")])


@route(dialect="postgresql")
def test_definer_function_in_a_from_clause(session, world):
    return each(session, [f"SELECT s FROM {name}() s" for name in _beside(world, "ticket_subjects")])


@route(dialect="postgresql")
def test_definer_function_counted(session, world):
    seen = each(session, [f"SELECT count(*) FROM {name}()" for name in _beside(world, "ticket_subjects")])
    return more_than_own(world, "tickets", max((row[0] for row in seen if not isinstance(row, str)), default=0))


@route(dialect="postgresql")
def test_inlined_function(session, world):
    return each(
        session, [f"SELECT * FROM {name}() s WHERE s <> ''" for name in _beside(world, "ticket_subjects_invoker")]
    )


@route(dialect="postgresql")
def test_text_search_over_a_query(session, world):
    return session.execute(text("SELECT word FROM ts_stat('SELECT subject::tsvector FROM tickets')")).all()
