"""What hangs on an object: lazy and eager loads, refreshes, expired attributes."""

from __future__ import annotations

from sqlalchemy import select, text, update
from sqlalchemy.orm import contains_eager, immediateload, joinedload, selectinload, subqueryload, with_parent

from .suite import Leak, route


def _own_ticket(session, world):
    return session.scalars(select(world.Ticket).where(world.Ticket.id == world.a.tickets[0])).one()


def _tickets(session, world, option):
    return session.scalars(select(world.Ticket).options(option)).unique().all()


@route
def test_lazy_loads_from_every_ticket(session, world):
    return [[t.comments, t.tags, t.agent, t.parent, t.children, t.company] for t in session.query(world.Ticket)]


@route
def test_joined_load(session, world):
    return [ticket.comments for ticket in _tickets(session, world, joinedload(world.Ticket.comments))]


@route
def test_select_in_load(session, world):
    return [ticket.comments for ticket in _tickets(session, world, selectinload(world.Ticket.comments))]


@route
def test_subquery_load(session, world):
    return [ticket.comments for ticket in _tickets(session, world, subqueryload(world.Ticket.comments))]


@route
def test_immediate_load(session, world):
    return [ticket.agent for ticket in _tickets(session, world, immediateload(world.Ticket.agent))]


@route
def test_contained_eager_load(session, world):
    statement = select(world.Ticket).join(world.Ticket.comments).options(contains_eager(world.Ticket.comments))
    return [ticket.comments for ticket in session.scalars(statement).unique()]


@route
def test_lazy_load_of_a_forged_reference(session, world):
    ticket = _own_ticket(session, world)
    with session.no_autoflush:
        ticket.parent_id = world.b.tickets[0]
        return ticket.parent


@route
def test_lazy_load_of_a_forged_tenant(session, world):
    ticket = _own_ticket(session, world)
    ticket.__dict__["tenant_id"] = world.b.id
    ticket.__dict__["id"] = world.b.tickets[0]
    return [ticket.comments, ticket.tags]


@route
def test_reference_to_the_tenant_record(session, world):
    ticket = _own_ticket(session, world)
    with session.no_autoflush:
        ticket.company_id = world.b.id
        return ticket.company


@route
def test_with_parent(session, world):
    parent = world.Ticket(tenant_id=world.b.id, id=world.b.tickets[0])
    return session.scalars(select(world.Comment).where(with_parent(parent, world.Ticket.comments))).all()


@route
def test_comparison_with_a_foreign_object(session, world):
    parent = world.Ticket(tenant_id=world.b.id, id=world.b.tickets[0])
    return session.scalars(select(world.Comment).where(world.Comment.ticket == parent)).all()


@route
def test_any_and_has(session, world):
    return [
        session.scalars(select(world.Ticket).where(world.Ticket.comments.any())).all(),
        session.scalars(select(world.Comment).where(world.Comment.ticket.has())).all(),
    ]


@route
def test_joined_path_over_two_relationships(session, world):
    statement = select(world.Agent.note, world.Comment.body).join(world.Agent.tickets).join(world.Ticket.comments)
    return session.execute(statement).all()


@route
def test_of_type(session, world):
    statement = select(world.Agent.note, world.BugTicket.trace).join(world.Agent.tickets.of_type(world.BugTicket))
    return session.execute(statement).all()


@route
def test_collection_of_a_foreign_root(session, world):
    agent = session.get(world.Agent, world.key(world.b, world.b.agents[0]))
    return [agent.tickets, agent.reports] if agent else None


@route
def test_refresh_after_a_write_by_the_other(session, world):
    tickets = session.scalars(select(world.Ticket)).all()
    with world.borrow(world.b) as other:
        other.execute(text("SELECT subject FROM tickets")).all()
    session.expire_all()
    return [ticket.subject for ticket in tickets]


@route
def test_children_reassigned_in_bulk(session, world):
    session.execute(
        update(world.Agent).where(world.Agent.manager_id.is_not(None)).values(manager_id=world.b.agents[0]),
        execution_options={"synchronize_session": False},
    )
    session.commit()
    return Leak("a foreign manager was accepted")
