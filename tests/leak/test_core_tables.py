"""SQLAlchemy Core on the mapped tables: statements the ORM's filter never sees."""

from __future__ import annotations

import uuid

from sqlalchemy import column, delete, insert, literal, select, table, update

from .probes import more_than_own
from .suite import route


@route
def test_select(session, world):
    return session.execute(select(world.Ticket.__table__)).all()


@route
def test_select_by_foreign_key(session, world):
    tickets = world.Ticket.__table__
    return session.execute(select(tickets).where(tickets.c.id == world.b.tickets[0])).all()


@route
def test_join_of_tables(session, world):
    tickets, comments = world.Ticket.__table__, world.Comment.__table__
    return session.execute(select(comments.c.body).join(tickets, tickets.c.id == comments.c.ticket_id)).all()


@route
def test_lightweight_table(session, world):
    return session.execute(select(column("subject")).select_from(table("tickets"))).all()


@route
def test_on_the_connection(session, world):
    return session.connection().execute(select(world.Agent.__table__)).all()


@route
def test_update_of_every_row(session, world):
    session.execute(update(world.Ticket.__table__).values(subject="overwritten"))
    session.commit()


@route
def test_update_of_a_foreign_row(session, world):
    tickets = world.Ticket.__table__
    result = session.execute(update(tickets).where(tickets.c.id == world.b.tickets[0]).values(subject="overwritten"))
    session.commit()
    return more_than_own(world, None, result.rowcount)


@route
def test_update_returning(session, world):
    return session.execute(update(world.Agent).values(settings={}).returning(world.Agent.note)).all()


@route
def test_update_of_a_table_returning(session, world):
    agents = world.Agent.__table__
    return session.execute(update(agents).values(settings={}).returning(agents.c.note)).all()


@route
def test_delete_of_every_row(session, world):
    session.execute(delete(world.Comment.__table__))
    session.commit()


@route
def test_delete_of_a_foreign_row(session, world):
    comments = world.Comment.__table__
    result = session.execute(delete(comments).where(comments.c.id == world.b.comments[0]))
    session.commit()
    return more_than_own(world, None, result.rowcount)


@route
def test_delete_returning(session, world):
    comments = world.Comment.__table__
    return session.execute(delete(comments).returning(comments.c.body)).all()


@route
def test_insert_for_the_foreign_tenant(session, world):
    session.execute(insert(world.Tag.__table__).values(tenant_id=world.b.id, id=uuid.uuid4(), label="planted", note=""))
    session.commit()


@route
def test_insert_for_nobody(session, world):
    nobody = uuid.uuid4()
    session.execute(insert(world.Tag.__table__).values(tenant_id=nobody, id=uuid.uuid4(), label="planted", note=""))
    session.commit()


@route
def test_insert_from_select(session, world):
    agents = world.Agent.__table__
    foreign = select(literal(world.a.id, agents.c.tenant_id.type), literal("m"), agents.c.id, agents.c.note)
    columns = ["tenant_id", "label", "id", "note"]
    session.execute(insert(world.Tag.__table__).from_select(columns, foreign.where(agents.c.email == world.b.email())))
    return session.execute(select(world.Tag.__table__.c.note)).all()


@route
def test_update_from_a_foreign_row(session, world):
    tickets, agents = world.Ticket.__table__, world.Agent.__table__
    statement = update(tickets).values(subject=agents.c.note)
    session.execute(statement.where(tickets.c.id == world.a.tickets[0], agents.c.email == world.b.email()))
    return session.execute(select(tickets.c.subject).where(tickets.c.id == world.a.tickets[0])).all()


@route
def test_update_from_a_subselect(session, world):
    tickets, agents = world.Ticket.__table__, world.Agent.__table__
    secret = select(agents.c.note).where(agents.c.email == world.b.email()).scalar_subquery()
    session.execute(update(tickets).where(tickets.c.id == world.a.tickets[0]).values(subject=secret))
    return session.execute(select(tickets.c.subject)).all()


@route
def test_delete_using_a_foreign_condition(session, world):
    comments, tickets = world.Comment.__table__, world.Ticket.__table__
    chosen = select(tickets.c.id).where(tickets.c.number >= world.b.first_number)
    session.execute(delete(comments).where(comments.c.ticket_id.in_(chosen)))
    session.commit()


@route
def test_platform_rows_changed(session, world):
    session.execute(update(world.Vendor.__table__).values(secret="overwritten"))
    session.commit()


@route
def test_shared_rows_changed(session, world):
    session.execute(update(world.Product.__table__).values(title="overwritten"))
    session.commit()


@route
def test_shared_rows_added(session, world):
    session.execute(insert(world.Product.__table__).values(code="fake", title="fake"))
    session.commit()
