"""COPY, which the driver runs beside SQLAlchemy: filtered on the way out, refused on the way in."""

from __future__ import annotations

import io
import uuid

from sqlalchemy.util import await_only

from .probes import attempts, each
from .suite import route


def _copy_out(session, world, what):
    connection = session.connection().connection.driver_connection
    if world.place.door == "async-asyncpg":
        sink = io.BytesIO()
        await_only(connection.copy_from_query(what, output=sink))
        return sink.getvalue()
    if world.place.door == "async-psycopg":
        return await_only(_copy_out_awaited(connection, what))
    with connection.cursor() as cursor, cursor.copy(f"COPY ({what}) TO STDOUT") as copy:
        return b"".join(copy)


async def _copy_out_awaited(connection, what):
    async with connection.cursor() as cursor, cursor.copy(f"COPY ({what}) TO STDOUT") as copy:
        return b"".join([bytes(part) async for part in copy])


def _copy_in(session, world, table, columns, row):
    connection = session.connection().connection.driver_connection
    schema, _, plain = table.replace('"', "").rpartition(".")
    if world.place.door == "async-asyncpg":
        await_only(connection.copy_records_to_table(plain, schema_name=schema or None, columns=columns, records=[row]))
    elif world.place.door == "async-psycopg":
        await_only(_copy_in_awaited(connection, table, columns, row))
    else:
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            copy.write_row(row)


async def _copy_in_awaited(connection, table, columns, row):
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write_row(row)


@route(dialect="postgresql")
def test_query_to_the_client(session, world):
    return _copy_out(session, world, "SELECT subject FROM tickets")


@route(dialect="postgresql")
def test_qualified_table_to_the_client(session, world):
    names = world.spellings("agents")
    return attempts(session, [lambda n=name: _copy_out(session, world, f"TABLE {n}") for name in names])


@route(dialect="postgresql")
def test_returning_rows_to_the_client(session, world):
    return _copy_out(session, world, "UPDATE tickets SET number = number RETURNING subject")


@route(dialect="postgresql")
def test_rows_of_the_other_from_the_client(session, world):
    columns = ("tenant_id", "id", "label", "note")
    steps = [
        lambda n=name: (
            _copy_in(session, world, n, columns, (world.b.id, uuid.uuid4(), "planted", "")),
            session.commit(),
        )
        for name in ["tags", *world.spellings("tags")]
    ]
    attempts(session, steps)


@route(dialect="postgresql")
def test_to_a_program_or_a_file(session, world):
    seen = each(
        session,
        [
            "COPY (SELECT subject FROM tickets) TO PROGRAM 'cat > /dev/null'",
            "COPY (SELECT subject FROM tickets) TO '/dev/null'",
            "COPY tags FROM PROGRAM 'true'",
        ],
    )
    return (
        [f"{world.b.canary} left through the server's own hands"]
        if len([s for s in seen if isinstance(s, str)]) < 3
        else None
    )
