"""Transactions ended, nested, reopened, and ended behind the session's back."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.orm import Session

from .probes import attempts, each
from .suite import route

SUBJECTS = text("SELECT subject FROM tickets")
CLOSED = "SQLAlchemy closes the connection with its transaction"


def _after_text(session, *statements):
    """Sends statements as text, each whatever comes of it, then reads."""
    return attempts(
        session, [*[lambda s=s: session.execute(text(s)) and None for s in statements], lambda: _read(session)]
    )


def _read(session):
    return session.execute(SUBJECTS).all()


@route
def test_text_commit(session, world):
    _read(session)
    return _after_text(session, "COMMIT")


@route
def test_text_rollback(session, world):
    _read(session)
    return _after_text(session, "ROLLBACK")


@route
def test_text_commit_then_write(session, world):
    _read(session)
    attempts(session, [lambda: session.execute(text("COMMIT"))])
    session.execute(text("UPDATE tickets SET subject = 'overwritten'"))
    session.commit()


@route
def test_text_commit_then_orm(session, world):
    _read(session)
    attempts(session, [lambda: session.execute(text("COMMIT"))])
    return session.scalars(select(world.Ticket)).all()


@route
def test_text_begin_after_commit(session, world):
    return _after_text(session, "COMMIT", "BEGIN")


@route
def test_text_begin_inside(session, world):
    return _after_text(session, "BEGIN", "COMMIT")


@route(dialect="postgresql")
def test_text_end_in_one_message(session, world):
    write = "UPDATE tickets SET subject = 'overwritten'; COMMIT"
    return each(session, [f"COMMIT; BEGIN; {write}", f"ROLLBACK; BEGIN; {write}"])


@route
def test_text_commit_and_chain(session, world):
    return _after_text(session, "COMMIT AND CHAIN", "ROLLBACK AND CHAIN")


@route
def test_text_savepoint_games(session, world):
    statements = ("SAVEPOINT one", "SAVEPOINT two", "ROLLBACK TO one", "RELEASE one", "COMMIT")
    return _after_text(session, *statements)


@route
def test_commit_and_reuse(session, world):
    _read(session)
    session.commit()
    return _read(session)


@route
def test_rollback_and_reuse(session, world):
    _read(session)
    session.rollback()
    return _read(session)


@route
def test_close_and_reuse(session, world):
    _read(session)
    session.close()
    return session.scalars(select(world.Ticket)).all()


@route
def test_reset_and_reuse(session, world):
    session.reset()
    return _read(session)


@route
def test_invalidate_and_reuse(session, world):
    _read(session)
    session.invalidate()
    return _read(session)


@route
def test_savepoint_rolled_back(session, world):
    with suppress(ZeroDivisionError), session.begin_nested():
        _read(session)
        raise ZeroDivisionError
    return _read(session)


@route
def test_savepoint_released(session, world):
    with session.begin_nested():
        _read(session)
    return _read(session)


@route
def test_savepoint_rolled_back_over_an_error(session, world):
    with suppress(DBAPIError), session.begin_nested():
        session.execute(text("SELECT * FROM no_such_table"))
    return _read(session)


@route
def test_savepoints_in_savepoints(session, world):
    with session.begin_nested():
        inner = session.begin_nested()
        _read(session)
        inner.rollback()
        seen = _read(session)
    session.commit()
    return [seen, _read(session)]


@route
def test_commit_of_the_connection(session, world):
    session.connection().commit()
    return _read(session)


@route
def test_rollback_of_the_connections_transaction(session, world):
    session.connection().get_transaction().rollback()
    return attempts(session, [lambda: _read(session), lambda: _read(session)])


@route
def test_plain_session_on_the_same_connection(session, world):
    plain = Session(bind=session.connection())
    seen = plain.scalars(select(world.Ticket)).all()
    plain.commit()
    return [seen, plain.scalars(select(world.Agent)).all()]


@route(harmless=CLOSED)
def test_plain_session_that_outlives_the_transaction(session, world):
    plain = Session(bind=session.connection())
    session.rollback()
    return plain.execute(SUBJECTS).all()


@route(harmless=CLOSED)
def test_connection_that_outlives_the_transaction(session, world):
    connection = session.connection()
    session.commit()
    return connection.execute(SUBJECTS).all()


@route
def test_autocommit(session, world):
    connection = session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
    return connection.execute(SUBJECTS).all()


@route
def test_autocommit_of_an_open_connection(session, world):
    session.rollback()
    with suppress(InvalidRequestError):
        session.connection().execution_options(isolation_level="AUTOCOMMIT")
    return _read(session)


@route
def test_autocommit_asked_on_the_statement(session, world):
    session.rollback()
    return session.execute(SUBJECTS, execution_options={"isolation_level": "AUTOCOMMIT"}).all()


@route
def test_other_isolation_level(session, world):
    session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
    return _read(session)


@route(dialect="postgresql")
def test_two_phase(session, world):
    session.rollback()
    session.twophase = True
    seen = _read(session)
    session.rollback()
    return seen


@route(dialect="postgresql")
def test_prepared_transaction_by_text(session, world):
    return _after_text(session, "PREPARE TRANSACTION 'leak'")


@route
def test_begin_again_and_again(session, world):
    seen = []
    for _ in range(5):
        with session.begin() if not session.in_transaction() else session.begin_nested():
            seen.append(_read(session))
        session.commit()
    return seen
