"""References to rows of the other tenant: foreign-key checks look past row-level security."""

from __future__ import annotations

import uuid

from sqlalchemy import insert, text, update

from .suite import Leak, route

ACCEPTED = Leak("a reference to a foreign row was accepted")


def _done(session):
    session.commit()
    return ACCEPTED


@route
def test_comment_on_a_foreign_ticket(session, world):
    session.add(world.new(world.Comment, ticket_id=world.b.tickets[0], body="planted"))
    return _done(session)


@route
def test_comment_inserted_on_a_foreign_ticket(session, world):
    values = world.stamped(id=uuid.uuid4(), ticket_id=world.b.tickets[0], body="planted")
    session.execute(insert(world.Comment.__table__).values(**values))
    return _done(session)


@route
def test_comment_moved_to_a_foreign_ticket(session, world):
    session.execute(update(world.Comment).values(ticket_id=world.b.tickets[0]))
    return _done(session)


@route
def test_comment_moved_by_its_attribute(session, world):
    comment = session.query(world.Comment).filter_by(tenant_id=world.a.id).first()
    comment.ticket_id = world.b.tickets[0]
    return _done(session)


@route
def test_comment_moved_by_text(session, world):
    session.execute(
        text("UPDATE comments SET ticket_id = :ticket"),
        {"ticket": world.b.tickets[0] if world.place.dialect == "postgresql" else world.b.tickets[0].hex},
    )
    return _done(session)


@route
def test_foreign_agent_assigned_by_id(session, world):
    ticket = session.get(world.Ticket, world.key(world.a, world.a.tickets[0]))
    ticket.agent_id = world.b.agents[0]
    return _done(session)


@route
def test_foreign_agent_assigned_as_object(session, world):
    with world.borrow(world.b) as other:
        agent = other.get(world.Agent, world.key(world.b, world.b.agents[0]))
        other.expunge(agent)
    ticket = session.get(world.Ticket, world.key(world.a, world.a.tickets[0]))
    ticket.agent = agent
    return _done(session)


@route
def test_foreign_row_read_back_through_the_reference(session, world):
    ticket = session.get(world.Ticket, world.key(world.a, world.a.tickets[0]))
    with session.no_autoflush:
        ticket.agent_id = world.b.agents[0]
        return ticket.agent


@route
def test_self_reference_to_a_foreign_row(session, world):
    session.execute(update(world.Agent).where(world.Agent.id == world.a.agents[0]).values(manager_id=world.b.agents[0]))
    return _done(session)


@route
def test_reference_to_the_foreign_tenant_record(session, world):
    session.execute(update(world.Ticket.__table__).values(company_id=world.b.id))
    return _done(session)


@route
def test_new_ticket_under_a_foreign_parent(session, world):
    ticket = world.new(world.Ticket, subject="child", number=1, parent_id=world.b.tickets[0])
    session.add(ticket)
    session.flush()
    return _done(session)


@route
def test_foreign_parent_gains_a_child_object(session, world):
    with world.borrow(world.b) as other:
        parent = other.get(world.Ticket, world.key(world.b, world.b.tickets[0]))
        other.expunge(parent)
    session.add(world.new(world.Ticket, subject="child", number=1, parent=parent))
    return _done(session)


@route
def test_bulk_insert_with_foreign_references(session, world):
    rows = [world.stamped(id=uuid.uuid4(), ticket_id=key, body="planted") for key in world.b.tickets[:2]]
    session.execute(insert(world.Comment), rows)
    return _done(session)
