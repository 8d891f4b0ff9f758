"""Deletes and updates that travel along foreign keys: they run with no policy in force."""

from __future__ import annotations

import uuid
from contextlib import suppress

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from tenantry.errors import TenantryError

from .suite import Leak, route


def _plant_in_b(world, table, **values):
    """Tenant B adds a row of its own, where it can: the row refers to one of tenant A's."""
    key = uuid.uuid4()
    with suppress(DBAPIError, TenantryError), world.borrow(world.b, writes=True) as other:
        other.execute(insert(table).values(tenant_id=world.b.id, id=key, **values))
        other.commit()
    return key


def _stands(world, table, key, **expected):
    with world.borrow(world.b) as other:
        row = other.execute(select(table).where(table.c.id == key, table.c.tenant_id == world.b.id)).mappings().first()
    return row is not None and all(row[name] == value for name, value in expected.items())


@route
def test_delete_reaches_comments_below(session, world):
    comments = world.Comment.__table__
    planted = _plant_in_b(world, comments, ticket_id=world.a.tickets[2], body="of B")
    stood = _stands(world, comments, planted)
    session.execute(delete(world.Ticket).where(world.Ticket.id == world.a.tickets[2]))
    session.commit()
    return Leak("the cascade took B's comment") if stood and not _stands(world, comments, planted) else None


@route
def test_delete_sets_references_to_null(session, world):
    tickets = world.Ticket.__table__
    values = {"subject": "of B", "number": 0, "kind": "ticket", "details": {}}
    planted = _plant_in_b(world, tickets, agent_id=world.a.agents[1], **values)
    stood = _stands(world, tickets, planted, agent_id=world.a.agents[1])
    session.execute(delete(world.Agent).where(world.Agent.id == world.a.agents[1]))
    session.commit()
    return (
        Leak("B's reference was set to null")
        if stood and not _stands(world, tickets, planted, agent_id=world.a.agents[1])
        else None
    )


@route
def test_delete_of_every_ticket(session, world):
    session.execute(text("DELETE FROM comments"))
    session.execute(text("UPDATE tickets SET parent_id = NULL"))
    session.execute(text("DELETE FROM tickets"))
    session.commit()


@route
def test_delete_of_every_agent_nulls_tickets(session, world):
    session.execute(text("UPDATE agents SET manager_id = NULL"))
    session.execute(text("DELETE FROM agents"))
    session.commit()


@route
def test_orm_delete_of_an_own_row_with_foreign_children_loaded(session, world):
    ticket = session.get(world.Ticket, world.key(world.a, world.a.tickets[2]))
    with world.borrow(world.b) as other:
        comment = other.get(world.Comment, world.key(world.b, world.b.comments[0]))
        other.expunge(comment)
    ticket.comments.append(comment)
    session.delete(ticket)
    session.commit()
    with world.borrow(world.b) as other:
        table = world.Comment.__table__
        left = other.execute(select(table.c.id).where(table.c.id == world.b.comments[0])).all()
    return None if left else Leak("the ORM's cascade took B's comment")


@route
def test_orphaned_foreign_child(session, world):
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.id == world.b.tickets[0])).one()
    ticket.comments.clear()
    session.commit()


@route
def test_replacing_a_key_moves_what_hangs_on_it(session, world):
    comments = world.Comment.__table__
    session.execute(update(comments).values(ticket_id=world.a.tickets[0]))
    session.commit()


@route(harmless="two rows cannot have one id under a single key")
def test_delete_of_an_id_that_both_tenants_have(session, world):
    """B's last ticket has the id of A's first: composite keys must keep their comments and links apart."""
    session.execute(update(world.Ticket).where(world.Ticket.parent_id == world.a.tickets[0]).values(parent_id=None))
    session.execute(delete(world.Ticket).where(world.Ticket.id == world.a.tickets[0]))
    session.commit()


@route(harmless="two rows cannot have one id under a single key")
def test_orm_delete_of_an_id_that_both_tenants_have(session, world):
    ticket = session.get(world.Ticket, world.key(world.a, world.a.tickets[0]))
    ticket.children.clear()
    session.delete(ticket)
    session.commit()
