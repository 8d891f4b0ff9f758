"""Joined inheritance: the child's table has its own rows, and reads of it need not touch the parent's."""

from __future__ import annotations

import uuid

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import selectin_polymorphic, with_polymorphic

from .suite import Leak, route


@route
def test_child_entity(session, world):
    return session.scalars(select(world.BugTicket)).all()


@route
def test_child_columns(session, world):
    return session.scalars(select(world.BugTicket.trace)).all()


@route
def test_child_table_alone(session, world):
    return session.execute(select(world.BugTicket.__table__)).all()


@route
def test_child_table_as_text(session, world):
    return session.execute(text("SELECT trace, severity FROM bug_tickets")).all()


@route
def test_all_kinds_at_once(session, world):
    everything = with_polymorphic(world.Ticket, "*")
    return session.execute(select(everything.BugTicket.trace).where(everything.BugTicket.severity > 0)).all()


@route
def test_children_loaded_after_the_parents(session, world):
    option = selectin_polymorphic(world.Ticket, [world.BugTicket])
    return session.scalars(select(world.Ticket).options(option)).all()


@route
def test_get_of_a_foreign_child(session, world):
    return session.get(world.BugTicket, world.key(world.b, world.b.bugs[0]))


@route
def test_child_table_updated(session, world):
    session.execute(update(world.BugTicket.__table__).values(trace="overwritten"))
    session.commit()
    with world.borrow(world.b) as other:
        found = other.execute(text("SELECT trace FROM bug_tickets WHERE severity >= 900000")).scalars().all()
    return Leak("a foreign child was overwritten") if found != [f"{world.b.canary} trace"] else None


@route
def test_child_table_deleted(session, world):
    session.execute(delete(world.BugTicket.__table__))
    session.commit()
    with world.borrow(world.b) as other:
        left = other.execute(text("SELECT trace FROM bug_tickets WHERE severity >= 900000")).all()
    return Leak("a foreign child is gone") if not left else None


@route
def test_child_of_a_foreign_parent(session, world):
    values = {"tenant_id": world.a.id} if world.walled else {}
    session.execute(
        insert(world.BugTicket.__table__).values(id=world.b.tickets[0], severity=1, trace="planted", **values)
    )
    session.commit()
    return Leak("a child row stands on a foreign parent")


@route
def test_orm_update_of_children(session, world):
    session.execute(update(world.BugTicket).values(severity=0), execution_options={"synchronize_session": False})
    session.commit()
    with world.borrow(world.b) as other:
        found = other.execute(text("SELECT severity FROM bug_tickets WHERE trace LIKE '%bravo%'")).scalars().all()
    return Leak("a foreign child was overwritten") if found != [world.b.first_number] else None


@route
def test_child_object_of_the_foreign_tenant(session, world):
    bug = world.BugTicket(
        tenant_id=world.b.id, id=uuid.uuid4(), subject="planted", number=0, severity=0, trace="planted", details={}
    )
    session.add(bug)
    session.commit()


@route
def test_join_from_parent_table_to_child_table(session, world):
    parent, child = world.Ticket.__table__, world.BugTicket.__table__
    return session.execute(select(parent.c.subject, child.c.trace).join(child, child.c.id == parent.c.id)).all()
