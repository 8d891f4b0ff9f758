"""SQLite's own doors: other files, other schemas, the schema tables, and the connection's Python face."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from .probes import attempts, each
from .suite import route

STORED = ("tickets", "tickets__rows", "tickets_rows", "_tickets")


def _read_attached(session, world, name):
    return attempts(
        session, [lambda s=stored: world.driver(session, f'SELECT subject FROM {name}."{s}"') for stored in STORED]
    )


@route(dialect="sqlite")
def test_attached_file(session, world):
    seen = []
    for number, file in enumerate(world.ground.files()):
        attempts(
            session, [session.rollback, lambda f=file, n=number: world.driver(session, f"ATTACH '{f}' AS leak{n}")]
        )
        seen += _read_attached(session, world, f"leak{number}")
    return seen


@route(dialect="sqlite")
def test_attached_file_through_the_session(session, world):
    seen = []
    for number, file in enumerate(world.ground.files()):
        attempts(
            session, [lambda f=file, n=number: session.execute(text(f"ATTACH DATABASE 'file:{f}?mode=ro' AS uri{n}"))]
        )
        attempts(session, [lambda f=file, n=number: session.execute(text(f"ATTACH DATABASE '{f}' AS plain{n}"))])
        seen += _read_attached(session, world, f"uri{number}") + _read_attached(session, world, f"plain{number}")
    return seen


@route(dialect="sqlite")
def test_expression_that_takes_the_tables_name(session, world):
    statement = 'WITH {0} AS (SELECT * FROM main."{1}") SELECT subject FROM {0}'
    return each(session, [statement.format(name, stored) for name in ("tickets", "p") for stored in STORED])


@route(dialect="sqlite")
def test_column_of_which_the_authorizer_does_not_hear(session, world):
    """SQLite (seen with 3.40 and 3.51) does not report what FULL JOIN ... USING reads; it came with 3.39."""
    joins = (
        'SELECT subject FROM (SELECT 1 AS one) {0} JOIN main."{1}" USING (subject)',
        ('SELECT subject FROM (SELECT NULL AS subject WHERE 0) {0} JOIN main."{1}" USING (subject)'),
    )
    return each(
        session, [join.format(kind, stored) for join in joins for kind in ("FULL", "RIGHT") for stored in STORED]
    )


@route(dialect="sqlite")
def test_temporary_view_over_the_stored_table(session, world):
    make = 'CREATE TEMP VIEW leak_view{0} AS SELECT * FROM main."{1}"'
    read = "SELECT subject FROM leak_view{0}"
    return each(session, [part.format(n, stored) for n, stored in enumerate(STORED) for part in (make, read)])


@route(dialect="sqlite")
def test_temporary_trigger_that_copies(session, world):
    make = (
        'CREATE TEMP TRIGGER leak_copy{0} AFTER UPDATE ON main."{1}" BEGIN'
        " UPDATE \"{1}\" SET subject = 'overwritten'; END"
    )
    each(session, [make.format(n, stored) for n, stored in enumerate(STORED)])
    each(session, ["UPDATE tickets SET number = number"])


@route(dialect="sqlite")
def test_stored_trigger(session, world):
    make = 'CREATE TRIGGER leak_stored{0} AFTER UPDATE ON "{1}" BEGIN UPDATE "{1}" SET subject = \'overwritten\'; END'
    each(session, [make.format(n, stored) for n, stored in enumerate(STORED)])
    each(session, ["UPDATE tickets SET number = number", *[f"DROP TRIGGER leak_stored{n}" for n in range(len(STORED))]])


@route(dialect="sqlite")
def test_schema_tables_lead_to_the_rows(session, world):
    tables = ("sqlite_master", "sqlite_temp_master", "sqlite_schema", "pragma_table_list")
    names = [row[0] for row in each(session, [f"SELECT name FROM {t}" for t in tables]) if not isinstance(row, str)]
    return each(session, [f'SELECT * FROM "{name}"' for name in names] + [f'SELECT * FROM main."{n}"' for n in names])


@route(dialect="sqlite")
def test_schema_made_writable(session, world):
    statements = ["PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = replace(sql, 'x', 'x')"]
    each(session, statements)
    seen = each(session, [f'SELECT subject FROM main."{stored}"' for stored in STORED])
    each(session, ["PRAGMA writable_schema = OFF"])
    return seen


@route(dialect="sqlite")
def test_whole_file_copied_out(session, world):
    target = Path(world.ground.files()[0]).with_name("leak_vacuum.sqlite3")
    attempts(session, [session.rollback, lambda: world.driver(session, f"VACUUM INTO '{target}'")])
    if not target.exists():
        return None
    with closing(sqlite3.connect(target)) as connection:
        seen = list(connection.iterdump())
    target.unlink()
    return seen


@route(dialect="sqlite")
def test_pages_of_the_file(session, world):
    return [
        each(session, ["SELECT hex(data) FROM sqlite_dbpage", "SELECT name, payload FROM dbstat"]),
        each(session, [f'SELECT subject FROM main."{stored}" NOT INDEXED' for stored in STORED]),
    ]


@route(dialect="sqlite")
def test_subject_returned_by_a_write(session, world):
    return each(session, [f'UPDATE main."{stored}" SET number = number RETURNING subject' for stored in STORED])


@route(dialect="sqlite")
def test_backup_through_python(session, world):
    def copy(connection):
        with closing(sqlite3.connect(":memory:")) as target:
            connection.backup(target)
            return [*target.iterdump()]

    return world.on_driver(session, copy)


@route(dialect="sqlite")
def test_dump_through_python(session, world):
    return world.on_driver(session, lambda connection: [*connection.iterdump()])


@route(dialect="sqlite")
def test_serialised_through_python(session, world):
    return world.on_driver(session, lambda connection: connection.serialize())


@route(dialect="sqlite")
def test_script_through_python(session, world):
    def script(connection):
        connection.executescript("UPDATE tickets SET subject = 'overwritten';")
        connection.commit()

    attempts(
        session,
        [lambda: session.execute(text("UPDATE invoices SET memo = memo")), lambda: world.on_driver(session, script)],
    )


@route(dialect="sqlite")
def test_one_value_opened_through_python(session, world):
    seen = []
    for stored in STORED:
        for row in range(1, 12):
            seen += attempts(session, [lambda s=stored, r=row: _open_value(session, world, s, r)])
    return seen


def _open_value(session, world, table, row):
    def read(connection):
        with connection.blobopen(table, "subject", row, readonly=True) as value:
            return value.read()

    return world.on_driver(session, read)
