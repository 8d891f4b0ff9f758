"""Results that arrive in parts, while the session goes on."""

from __future__ import annotations

from sqlalchemy import select, text

from .probes import attempts
from .suite import route


@route
def test_yield_per(session, world):
    return [ticket.subject for ticket in session.scalars(select(world.Ticket).execution_options(yield_per=1))]


@route
def test_stream_results(session, world):
    result = session.execute(text("SELECT subject FROM tickets"), execution_options={"stream_results": True})
    return result.all()


@route
def test_partitions(session, world):
    result = session.execute(select(world.Ticket.__table__.c.subject), execution_options={"yield_per": 2})
    return [[*part] for part in result.partitions()]


@route
def test_half_read_result_across_a_commit(session, world):
    result = session.execute(text("SELECT subject FROM tickets"))
    seen = [result.fetchone()]
    session.commit()
    return [seen, attempts(session, [result.fetchall])]


@route
def test_stream_with_another_tenant_in_between(session, world):
    seen = []
    for subject in session.scalars(select(world.Ticket.subject).execution_options(yield_per=1)):
        with world.borrow(world.b) as other:
            other.execute(text("SELECT subject FROM tickets")).all()
        seen.append(subject)
    return seen


@route
def test_stream_with_a_rollback_in_between(session, world):
    result = session.execute(text("SELECT note FROM agents"), execution_options={"yield_per": 1})
    seen = [result.fetchone()]
    attempts(session, [session.rollback])
    return [seen, attempts(session, [result.fetchall, lambda: session.execute(text("SELECT note FROM agents")).all()])]


@route
def test_generator_left_half_way(session, world):
    stream = session.scalars(select(world.Ticket.subject).execution_options(yield_per=1))
    seen = [next(stream)]
    stream.close()
    session.rollback()
    return [seen, session.scalars(select(world.Ticket.subject)).all()]


@route
def test_legacy_yield_per(session, world):
    return [agent.note for agent in session.query(world.Agent).yield_per(1)]
