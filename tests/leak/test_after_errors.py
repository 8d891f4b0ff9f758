"""The same session, and the next one, after something went wrong."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tenantry.errors import TenantryError

from .probes import attempts
from .suite import Leak, route

SUBJECTS = text("SELECT subject FROM tickets")
FAILURES = (SQLAlchemyError, TenantryError)


def _read(session):
    return session.execute(SUBJECTS).all()


@route
def test_statement_error(session, world):
    with suppress(*FAILURES):
        session.execute(text("SELECT * FROM no_such_table"))
    return attempts(session, [lambda: _read(session), lambda: _read(session)])


@route
def test_statement_error_then_rollback(session, world):
    with suppress(*FAILURES):
        session.execute(text("SELECT no_such_column FROM tickets"))
    session.rollback()
    return _read(session)


@route
def test_integrity_error_in_a_flush(session, world):
    key = world.a.comments[0]
    session.add(world.new(world.Comment, id=key, ticket_id=world.a.tickets[0], body="twice"))
    with suppress(*FAILURES):
        session.flush()
    session.rollback()
    return [_read(session), session.scalars(select(world.Ticket)).all()]


@route
def test_flush_error_left_standing(session, world):
    session.add(world.new(world.Comment, body="no ticket"))
    with suppress(*FAILURES):
        session.flush()
    return attempts(session, [lambda: _read(session), lambda: _read(session)])


@route
def test_error_at_commit(session, world):
    session.add(world.new(world.Tag, label=world.a.label(), note="twice"))
    with suppress(*FAILURES):
        session.commit()
    return attempts(session, [lambda: _read(session), lambda: _read(session)])


@route
def test_error_of_the_driver(session, world):
    attempts(session, [lambda: world.driver(session, "SELECT * FROM no_such_table")])
    return attempts(session, [lambda: world.driver(session, "SELECT subject FROM tickets"), lambda: _read(session)])


@route
def test_error_in_the_body_of_another_session(session, world):
    with suppress(ZeroDivisionError), world.borrow(world.b) as other:
        other.execute(SUBJECTS)
        raise ZeroDivisionError
    with world.borrow(world.a) as following:
        return [_read(following), _read(session)]


@route
def test_interrupt_in_the_body_of_another_session(session, world):
    with suppress(KeyboardInterrupt), world.borrow(world.b) as other:
        other.execute(text("SELECT note FROM agents"))
        raise KeyboardInterrupt
    seen = []
    for _ in range(3):
        with world.borrow(world.a) as following:
            seen.append(_read(following))
    return seen


@route
def test_refused_write_then_read(session, world):
    with suppress(*FAILURES):
        session.execute(insert(world.Tag).values(tenant_id=world.b.id, label="refused", note=""))
    session.rollback()
    return _read(session)


@route
def test_raising_hook_at_commit(session, world):
    from sqlalchemy import event

    def fail(_):
        raise ZeroDivisionError

    event.listen(session, "before_commit", fail)
    with suppress(ZeroDivisionError):
        _read(session)
        session.commit()
    event.remove(session, "before_commit", fail)
    return attempts(session, [lambda: _read(session), lambda: _read(session)])


@route(dialect="postgresql")
def test_backend_killed_in_the_transaction(session, world):
    backend = session.scalar(text("SELECT pg_backend_pid()"))
    world.ground.outside.kill(backend)
    with suppress(*FAILURES):
        _read(session)
    return attempts(session, [lambda: _read(session), lambda: _read(session)])


@route(dialect="postgresql")
def test_backend_killed_before_the_next_session(session, world):
    backend = session.scalar(text("SELECT pg_backend_pid()"))
    session.close()
    world.ground.outside.kill(backend)
    seen = []
    for _ in range(3):
        with suppress(DBAPIError, TenantryError), world.borrow(world.a) as following:
            seen.append(_read(following))
    return seen


@route(dialect="postgresql")
def test_statement_timeout(session, world):
    with suppress(*FAILURES):
        session.execute(text("SET LOCAL statement_timeout = 20"))
        session.execute(text("SELECT pg_sleep(5)"))
    session.rollback()
    return [_read(session), session.scalars(select(world.Agent)).all()]


@route
def test_too_many_sessions(session, world):
    """Whatever the pool does at its limit, it hands out nothing with another tenant's view."""
    seen = []
    for side in [world.b, world.a] * 4:
        with world.borrow(side) as other:
            rows = other.execute(SUBJECTS).scalars().all()
        seen.append(rows if side is world.a else [Leak("swapped") for row in rows if world.a.canary in row])
    return seen
