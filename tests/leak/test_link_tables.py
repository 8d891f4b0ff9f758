"""The link table between tickets and tags: a plain association table that nobody declared as a tenant's."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import joinedload, selectinload

from .probes import more_than_own
from .suite import Leak, route


def _values(world, side, **values):
    return values if not world.walled else {"tenant_id": side.id, **values}


@route
def test_count(session, world):
    return more_than_own(world, "ticket_tags", session.scalar(select(func.count()).select_from(world.ticket_tags)))


@route
def test_text(session, world):
    return more_than_own(world, "ticket_tags", len(session.execute(text("SELECT * FROM ticket_tags")).all()))


@route
def test_join_across(session, world):
    links = world.ticket_tags
    tags = world.Tag.__table__
    return session.execute(select(tags.c.note).join(links, links.c.tag_id == tags.c.id)).all()


@route
def test_orm_join_across(session, world):
    return session.execute(select(world.Tag.note).join(world.Ticket.tags)).all()


@route
def test_eager_load_of_tags(session, world):
    tickets = session.scalars(select(world.Ticket).options(selectinload(world.Ticket.tags))).all()
    return [tag for ticket in tickets for tag in ticket.tags]


@route
def test_joined_load_of_tickets(session, world):
    tags = session.scalars(select(world.Tag).options(joinedload(world.Tag.tickets))).unique().all()
    return [ticket for tag in tags for ticket in tag.tickets]


@route
def test_foreign_tag_linked_to_own_ticket(session, world):
    values = _values(world, world.a, ticket_id=world.a.tickets[0], tag_id=world.b.tags[0])
    session.execute(insert(world.ticket_tags).values(**values))
    session.commit()
    return Leak("a foreign tag was linked")


@route
def test_foreign_link_inserted(session, world):
    values = _values(world, world.b, ticket_id=world.b.tickets[0], tag_id=world.b.tags[2])
    session.execute(insert(world.ticket_tags).values(**values))
    session.commit()
    return Leak("a foreign link was made")


@route
def test_foreign_tag_appended(session, world):
    with world.borrow(world.b) as other:
        tag = other.get(world.Tag, world.key(world.b, world.b.tags[0]))
        other.expunge(tag)
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.id == world.a.tickets[0])).one()
    ticket.tags.append(tag)
    session.commit()
    return Leak("a foreign tag was appended")


@route
def test_every_link_deleted(session, world):
    session.execute(delete(world.ticket_tags))
    session.commit()
    with world.borrow(world.b) as other:
        left = other.scalar(select(func.count()).select_from(world.ticket_tags))
    return Leak("foreign links are gone") if left < world.b.counts["ticket_tags"] else None


@route
def test_links_turned_to_a_foreign_tag(session, world):
    session.execute(update(world.ticket_tags).values(tag_id=world.b.tags[0]))
    session.commit()
    return Leak("links were turned to a foreign tag")


@route
def test_unlinking_removes_only_the_own_link(session, world):
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.id == world.b.tickets[0])).one()
    ticket.tags.clear()
    session.commit()
    return Leak("a foreign ticket lost its tags")


@route
def test_link_as_an_oracle(session, world):
    links = world.ticket_tags
    found = session.execute(select(links.c.tag_id).where(links.c.ticket_id == world.b.tickets[0])).all()
    return more_than_own(world, None, len(found))
