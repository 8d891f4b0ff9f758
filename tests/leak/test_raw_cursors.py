"""The driver's cursors and connections, under SQLAlchemy and most of its hooks."""

from __future__ import annotations

import uuid
from contextlib import closing

from .probes import attempts
from .suite import route


def _adapt(world, value):
    """The value as the database's driver takes it: SQLite stores a UUID as text."""
    return value if world.place.dialect == "postgresql" else value.hex


def _marks(world, count):
    if world.place.dialect == "sqlite":
        return ["?"] * count
    return ["%s"] * count if "asyncpg" not in world.place.door else [f"${n}" for n in range(1, count + 1)]


@route
def test_exec_driver_sql(session, world):
    return session.connection().exec_driver_sql("SELECT subject FROM tickets").all()


@route
def test_exec_driver_sql_write(session, world):
    session.connection().exec_driver_sql("UPDATE tickets SET subject = 'overwritten'")
    session.commit()


@route
def test_cursor(session, world):
    with closing(session.connection().connection.cursor()) as cursor:
        cursor.execute("SELECT subject FROM tickets")
        return cursor.fetchall()


@route
def test_cursor_of_the_dbapi_connection(session, world):
    with closing(session.connection().connection.dbapi_connection.cursor()) as cursor:
        cursor.execute("SELECT note FROM agents")
        return cursor.fetchall()


@route
def test_cursor_write_and_commit_below(session, world):
    connection = session.connection().connection
    with closing(connection.cursor()) as cursor:
        cursor.execute("UPDATE agents SET note = 'overwritten'")
    connection.commit()


@route
def test_cursor_read_after_commit_below(session, world):
    connection = session.connection().connection
    connection.commit()
    with closing(connection.cursor()) as cursor:
        cursor.execute("SELECT note FROM agents")
        return cursor.fetchall()


@route
def test_cursor_read_after_rollback_below(session, world):
    connection = session.connection().connection
    connection.rollback()
    with closing(connection.cursor()) as cursor:
        cursor.execute("SELECT body FROM comments")
        return cursor.fetchall()


@route
def test_executemany(session, world):
    marks = ", ".join(_marks(world, 2))
    with closing(session.connection().connection.cursor()) as cursor:
        cursor.executemany(
            f"INSERT INTO tags (tenant_id, id, label, note) VALUES ({marks}, 'planted', '')",
            [(_adapt(world, world.b.id), _adapt(world, uuid.uuid4()))],
        )
    session.commit()


@route
def test_executemany_of_updates(session, world):
    mark = _marks(world, 1)[0]
    with closing(session.connection().connection.cursor()) as cursor:
        keys = [(_adapt(world, key),) for key in world.b.tickets[:2]]
        cursor.executemany(f"UPDATE tickets SET subject = 'overwritten' WHERE id = {mark}", keys)
    session.commit()


@route
def test_driver_connection(session, world):
    return world.driver(session, "SELECT subject FROM tickets")


@route
def test_driver_connection_write(session, world):
    world.driver(session, "DELETE FROM comments")
    session.commit()


@route
def test_driver_connection_after_its_own_commit(session, world):
    statements = ("COMMIT", "SELECT trace FROM bug_tickets")
    return attempts(session, [lambda s=statement: world.driver(session, s) for statement in statements])


@route
def test_detached_connection(session, world):
    fairy = session.connection().connection
    fairy.detach()
    with closing(fairy.dbapi_connection):
        cursor = fairy.cursor()
        cursor.execute("SELECT memo FROM invoices")
        seen = cursor.fetchall()
        cursor.close()
        session.rollback()
    return seen


@route
def test_connection_kept_after_close(session, world):
    driver = session.connection().connection.dbapi_connection
    session.close()
    with closing(driver.cursor()) as cursor:
        cursor.execute("SELECT memo FROM invoices")
        return cursor.fetchall()
