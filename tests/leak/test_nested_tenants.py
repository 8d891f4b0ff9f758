"""Sessions of two tenants open at once, one inside the other."""

from __future__ import annotations

from contextlib import ExitStack

from sqlalchemy import select, text
from sqlalchemy.orm import selectinload

from .suite import Leak, route

SUBJECTS = text("SELECT subject FROM tickets")


def _swapped(world, foreign_rows):
    """Evidence if a session of tenant B shows rows of tenant A's."""
    return [Leak("B sees A's row") for row in foreign_rows if world.a.canary in str(row)]


@route
def test_outer_after_inner(session, world):
    session.execute(SUBJECTS).all()
    with world.borrow(world.b) as inner:
        inner.execute(SUBJECTS).all()
    return session.execute(SUBJECTS).all()


@route
def test_outer_while_inner_is_open(session, world):
    with world.borrow(world.b) as inner:
        inner.execute(SUBJECTS).all()
        return session.execute(SUBJECTS).all()


@route
def test_outer_begins_after_inner(session, world):
    session.rollback()
    with world.borrow(world.b) as inner:
        inner.execute(SUBJECTS).all()
        return session.scalars(select(world.Ticket)).all()


@route
def test_inner_sees_nothing_of_outer(session, world):
    session.execute(SUBJECTS).all()
    with world.borrow(world.b) as inner:
        return _swapped(world, [*inner.execute(SUBJECTS), *inner.scalars(select(world.Ticket.subject))])


@route
def test_taking_turns(session, world):
    seen = []
    with world.borrow(world.b) as inner:
        for turn in range(6):
            seen.append(session.scalars(select(world.Ticket.subject)).all())
            seen += _swapped(world, inner.scalars(select(world.Ticket.subject)))
            (session if turn % 2 else inner).commit()
    return seen


@route(dialect="postgresql")
def test_inner_commits_while_outer_writes(session, world):
    session.execute(text("UPDATE invoices SET total = total + 1"))
    with world.borrow(world.b) as inner:
        inner.execute(SUBJECTS).all()
        inner.commit()
    return session.execute(text("SELECT memo FROM invoices")).all()


@route
def test_one_inside_the_other_inside_the_first(session, world):
    with world.borrow(world.b), world.borrow(world.a) as innermost:
        return innermost.execute(SUBJECTS).all()


@route
def test_many_at_once(session, world):
    with ExitStack() as stack:
        others = [stack.enter_context(world.borrow(side)) for side in (world.b, world.a, world.b)]
        seen = [row for other in others[::2] for row in _swapped(world, other.execute(SUBJECTS))]
        return [seen, others[1].execute(SUBJECTS).all(), session.execute(SUBJECTS).all()]


@route
def test_same_statement_object_in_both(session, world):
    statement = select(world.Ticket).order_by(world.Ticket.number)
    with world.borrow(world.b) as inner:
        swapped = _swapped(world, [ticket.subject for ticket in inner.scalars(statement)])
    return [swapped, session.scalars(statement).all(), session.scalars(statement).all()]


@route
def test_same_statement_with_eager_loading_in_both(session, world):
    statement = select(world.Agent).options(selectinload(world.Agent.tickets)).order_by(world.Agent.email)
    with world.borrow(world.b) as inner:
        inner.scalars(statement).all()
    return [[agent, agent.tickets] for agent in session.scalars(statement)]


@route
def test_lazy_load_of_the_outer_inside_the_inner(session, world):
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.id == world.a.tickets[0])).one()
    with world.borrow(world.b) as inner:
        inner.execute(SUBJECTS).all()
        return [ticket.comments, ticket.tags, ticket.agent, _everything(session, world)]


def _everything(session, world):
    return session.scalars(select(world.Comment)).all()


@route
def test_result_of_the_inner_read_later(session, world):
    with world.borrow(world.b) as inner:
        statement = inner.query(world.Ticket).order_by(world.Ticket.number)
    return statement.with_session(session).all()


@route
def test_inner_that_fails(session, world):
    try:
        with world.borrow(world.b) as inner:
            inner.execute(SUBJECTS)
            raise ZeroDivisionError
    except ZeroDivisionError:
        return session.execute(SUBJECTS).all()
