"""Foreign rows behind an alias, a sub-select, a common table expression, a union."""

from __future__ import annotations

from sqlalchemy import exists, func, lateral, literal, select, true, union, union_all
from sqlalchemy.orm import aliased, with_loader_criteria

from .probes import more_than_own
from .suite import route


@route
def test_alias(session, world):
    return session.scalars(select(aliased(world.Ticket))).all()


@route
def test_alias_of_the_table(session, world):
    return session.execute(select(world.Ticket.__table__.alias("t"))).all()


@route
def test_derived_table(session, world):
    inner = select(world.Ticket).subquery()
    return session.execute(select(inner.c.subject)).all()


@route
def test_entity_from_a_subquery(session, world):
    inner = select(world.Ticket).where(world.Ticket.number > 0).subquery()
    return session.scalars(select(aliased(world.Ticket, inner))).all()


@route
def test_entity_from_a_core_subquery(session, world):
    inner = select(world.Ticket.__table__).subquery()
    return session.execute(select(inner)).all()


@route
def test_scalar_subquery(session, world):
    inner = select(func.max(world.Agent.note)).scalar_subquery()
    return session.execute(select(world.Ticket.id, inner)).all()


@route
def test_scalar_subquery_of_a_table(session, world):
    inner = select(func.max(world.Agent.__table__.c.note)).scalar_subquery()
    return session.execute(select(literal(1), inner)).all()


@route
def test_common_table_expression(session, world):
    named = select(world.Ticket.subject).cte("named")
    return session.execute(select(named)).all()


@route
def test_recursive_expression(session, world):
    ticket = world.Ticket.__table__
    walk = select(ticket.c.id, ticket.c.subject).where(ticket.c.parent_id.is_(None)).cte("walk", recursive=True)
    walk = walk.union_all(select(ticket.c.id, ticket.c.subject).join(walk, ticket.c.parent_id == walk.c.id))
    return session.execute(select(walk.c.subject)).all()


@route
def test_union_of_entities(session, world):
    both = union(select(world.Ticket.subject), select(world.Agent.note))
    return session.execute(both).all()


@route
def test_union_of_own_rows_with_all(session, world):
    own = select(world.Ticket.subject).where(world.Ticket.tenant_id == world.a.id)
    return session.execute(union_all(own, select(world.Ticket.__table__.c.subject))).all()


@route
def test_entity_from_a_union(session, world):
    both = union_all(select(world.Agent), select(world.Agent)).subquery()
    return session.scalars(select(aliased(world.Agent, both))).all()


@route
def test_exists_as_an_oracle(session, world):
    foreign = exists().where(world.Agent.__table__.c.email == world.b.email())
    return more_than_own(world, "tickets", 100 * len(session.execute(select(world.Ticket.id).where(foreign)).all()))


@route
def test_in_subselect(session, world):
    ids = select(world.Comment.__table__.c.ticket_id).where(world.Comment.__table__.c.ticket_id == world.b.tickets[0])
    table = world.Ticket.__table__
    return session.execute(select(table.c.subject).where(table.c.id.in_(ids))).all()


@route
def test_expanding_in_list(session, world):
    return session.scalars(select(world.Ticket).where(world.Ticket.id.in_(world.b.tickets))).all()


@route
def test_join_on_anything(session, world):
    other = aliased(world.Ticket)
    return session.execute(select(world.Ticket.id, other.subject).join(other, true())).all()


@route
def test_outer_join_from_own_rows(session, world):
    statement = select(world.Agent.id, world.Ticket.subject).outerjoin(world.Ticket, world.Ticket.number > 0)
    return session.execute(statement).all()


@route
def test_order_by_a_subselect(session, world):
    secret = select(func.max(world.Ticket.__table__.c.number)).scalar_subquery()
    return session.scalars(select(world.Invoice.total + secret).order_by(secret)).all()


@route
def test_case_on_a_subselect(session, world):
    held = select(world.Tag.__table__.c.id).where(world.Tag.__table__.c.label == world.b.label()).exists()
    return more_than_own(world, None, session.scalar(select(func.count()).where(held)))


@route
def test_filtered_alias_with_own_criteria(session, world):
    ticket = aliased(world.Ticket)
    return session.scalars(select(ticket).options(with_loader_criteria(ticket, true()))).all()


@route(dialect="postgresql")
def test_lateral(session, world):
    inner = lateral(select(world.Ticket.__table__.c.subject).where(world.Ticket.__table__.c.number > 0))
    return session.execute(select(world.Agent.id, inner.c.subject).join(inner, true())).all()
