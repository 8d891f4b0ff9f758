"""Objects that were loaded elsewhere: identity map, merge, add, refresh, detached and transient rows."""

from __future__ import annotations

from sqlalchemy import inspect, select
from sqlalchemy.orm import make_transient, make_transient_to_detached, object_session

from .suite import Leak, route


def _of_b(world, model, key):
    """A row of tenant B's, loaded in a session of B and detached from it, its attributes expired."""
    with world.borrow(world.b) as other:
        row = other.get(model, world.key(world.b, key))
        assert row.tenant_id == world.b.id
        other.expunge(row)
    return row


def _blank(world, model, key):
    """An object that claims to be B's row, though nobody loaded it."""
    row = model(tenant_id=world.b.id, id=key)
    make_transient_to_detached(row)
    return row


@route
def test_added_detached_row_is_refreshed(session, world):
    row = _blank(world, world.Ticket, world.b.tickets[0])
    session.add(row)
    session.refresh(row)
    return row


@route
def test_added_detached_row_is_read(session, world):
    row = _blank(world, world.Agent, world.b.agents[0])
    session.add(row)
    return row.note


@route
def test_added_detached_row_is_changed(session, world):
    row = _of_b(world, world.Ticket, world.b.tickets[0])
    session.add(row)
    row.subject = "overwritten"
    session.commit()


@route
def test_added_detached_row_is_deleted(session, world):
    row = _of_b(world, world.Comment, world.b.comments[0])
    session.delete(row)
    session.commit()


@route
def test_lazy_load_on_an_added_row(session, world):
    row = _blank(world, world.Ticket, world.b.tickets[0])
    session.add(row)
    return row.comments


@route
def test_merged_row_is_read(session, world):
    merged = session.merge(world.Ticket(tenant_id=world.b.id, id=world.b.tickets[0]))
    return merged.subject


@route
def test_merged_row_is_written(session, world):
    session.merge(world.Ticket(tenant_id=world.b.id, id=world.b.tickets[0], subject="overwritten", number=0))
    session.commit()


@route
def test_merged_without_load(session, world):
    row = _blank(world, world.Ticket, world.b.tickets[0])
    merged = session.merge(row, load=False)
    return merged.subject


@route
def test_merged_detached_row(session, world):
    row = _of_b(world, world.Agent, world.b.agents[0])
    row.note = "overwritten"
    session.merge(row)
    session.commit()


@route
def test_merged_as_a_child(session, world):
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.id == world.a.tickets[0])).one()
    copy = world.Comment(tenant_id=world.b.id, id=world.b.comments[0], body="overwritten", ticket_id=ticket.id)
    ticket.comments.append(session.merge(copy))
    session.commit()


@route
def test_transient_copy_is_inserted(session, world):
    row = _of_b(world, world.Tag, world.b.tags[0])
    make_transient(row)
    row.id, row.label = None, "copied"
    session.add(row)
    session.commit()


@route
def test_own_row_with_the_foreign_id_is_refreshed(session, world):
    row = world.Invoice(tenant_id=world.a.id, id=world.b.invoices[-1])
    make_transient_to_detached(row)
    session.add(row)
    session.refresh(row)
    return row.memo


@route
def test_get_serves_what_the_map_holds(session, world):
    row = _blank(world, world.Ticket, world.b.tickets[1])
    session.add(row)
    return session.get(world.Ticket, world.key(world.b, world.b.tickets[1])).subject


@route
def test_get_of_a_row_that_another_session_holds(session, world):
    with world.borrow(world.b) as other:
        held = other.get(world.Agent, world.key(world.b, world.b.agents[0]))
        found = session.get(world.Agent, world.key(world.b, world.b.agents[0]))
        return [found, found is held and Leak("two sessions share an object")]


@route
def test_lazy_reference_served_by_the_map(session, world):
    foreign = _blank(world, world.Agent, world.b.agents[0])
    session.add(foreign)
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.id == world.a.tickets[0])).one()
    with session.no_autoflush:
        ticket.agent_id = world.b.agents[0]
        session.expire(ticket, ["agent"])
        return ticket.agent.note


@route
def test_object_planted_in_the_map(session, world):
    row = _blank(world, world.Agent, world.b.agents[0])
    state = inspect(row)
    state.session_id = session.hash_key
    session.identity_map.add(state)
    return session.scalars(select(world.Agent).where(world.Agent.id == world.b.agents[0])).all() or row.note


@route
def test_row_added_to_the_foreign_collection(session, world):
    ticket = _of_b(world, world.Ticket, world.b.tickets[0])
    comment = world.new(world.Comment, body="planted", ticket_id=world.b.tickets[0])
    comment.ticket = ticket
    session.add(comment)
    session.commit()
    return Leak("a comment was put on a foreign ticket")


@route
def test_whole_graph_added_by_its_root(session, world):
    ticket = world.Ticket(tenant_id=world.b.id, subject="planted", number=0)
    ticket.comments.append(world.Comment(tenant_id=world.b.id, body="planted"))
    session.add(ticket)
    session.commit()


@route
def test_own_root_with_a_foreign_leaf(session, world):
    ticket = world.new(world.Ticket, subject="own", number=0)
    ticket.comments.append(world.Comment(tenant_id=world.b.id, body="planted"))
    session.add(ticket)
    session.commit()


@route
def test_instance_moved_between_open_sessions(session, world):
    with world.borrow(world.b) as other:
        row = other.get(world.Agent, world.key(world.b, world.b.agents[0]))
        assert object_session(row) is other
        other.expunge(row)
        session.add(row)
        row.note = "overwritten"
        session.commit()


@route
def test_enable_relationship_loading(session, world):
    comment = world.Comment(tenant_id=world.b.id, id=world.b.comments[0], ticket_id=world.b.tickets[0])
    session.enable_relationship_loading(comment)
    return comment.ticket
