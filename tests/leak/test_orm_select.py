"""Ordinary ORM reads with the filter forgotten, or aimed at a foreign key."""

from __future__ import annotations

from sqlalchemy import func, or_, select, true
from sqlalchemy.orm import load_only, undefer, with_loader_criteria

from .probes import more_than_own
from .suite import route


@route
def test_every_row(session, world):
    return session.scalars(select(world.Ticket)).all()


@route
def test_single_columns(session, world):
    return session.execute(select(world.Ticket.subject, world.Ticket.number)).all()


@route
def test_filter_on_a_foreign_id(session, world):
    return session.scalars(select(world.Ticket).where(world.Ticket.id == world.b.tickets[0])).all()


@route
def test_filter_on_the_foreign_tenant(session, world):
    return session.scalars(select(world.Ticket).where(world.Ticket.tenant_id == world.b.id)).all()


@route
def test_or_true(session, world):
    own = world.Ticket.tenant_id == world.a.id
    return session.scalars(select(world.Ticket).where(or_(own, true()))).all()


@route
def test_order_and_limit(session, world):
    return session.scalars(select(world.Ticket).order_by(world.Ticket.number.desc()).limit(1)).first()


@route
def test_count(session, world):
    return more_than_own(world, "tickets", session.scalar(select(func.count()).select_from(world.Ticket)))


@route
def test_sum_and_max(session, world):
    return session.execute(select(func.sum(world.Ticket.number), func.max(world.Ticket.number))).one()


@route
def test_group_and_having(session, world):
    statement = select(world.Ticket.kind, func.max(world.Ticket.subject)).group_by(world.Ticket.kind)
    return session.execute(statement.having(func.count() > 0)).all()


@route
def test_window_function(session, world):
    return session.scalars(
        select(func.first_value(world.Ticket.subject).over(order_by=world.Ticket.number.desc()))
    ).all()


@route
def test_distinct(session, world):
    return session.scalars(select(world.Agent.note).distinct()).all()


@route
def test_existence_of_a_foreign_id(session, world):
    found = session.scalar(select(select(world.Ticket).where(world.Ticket.id == world.b.tickets[0]).exists()))
    return more_than_own(world, None, int(bool(found)))


@route
def test_legacy_query(session, world):
    return session.query(world.Ticket).filter(world.Ticket.number > 0).all()


@route
def test_legacy_query_of_columns(session, world):
    return session.query(func.max(world.Ticket.subject)).scalar()


@route
def test_get_by_foreign_id(session, world):
    return session.get(world.Ticket, world.b.tickets[0])


@route
def test_get_by_whole_foreign_key(session, world):
    return session.get(world.Ticket, world.key(world.b, world.b.tickets[0]))


@route
def test_get_one_by_whole_foreign_key(session, world):
    return session.get_one(world.Ticket, world.key(world.b, world.b.tickets[1]))


@route
def test_legacy_get_by_whole_foreign_key(session, world):
    return session.query(world.Agent).get(world.key(world.b, world.b.agents[0]))


@route
def test_get_for_update(session, world):
    return session.get(world.Ticket, world.key(world.b, world.b.tickets[0]), with_for_update=True)


@route
def test_get_with_integer_id(session, world):
    return session.get(world.Invoice, world.key(world.b, world.b.invoices[-1]))


@route
def test_select_for_update(session, world):
    return session.scalars(select(world.Ticket).with_for_update()).all()


@route
def test_own_loader_criteria(session, world):
    everything = with_loader_criteria(world.Ticket, true(), include_aliases=True)
    return session.scalars(select(world.Ticket).options(everything)).all()


@route
def test_populate_existing(session, world):
    return session.scalars(select(world.Ticket).execution_options(populate_existing=True)).all()


@route
def test_load_only(session, world):
    return session.scalars(select(world.Agent).options(load_only(world.Agent.note))).all()


@route
def test_json_paths(session, world):
    return session.scalars(select(world.Ticket.details["secret"].as_string())).all()


@route
def test_hybrid(session, world):
    return session.scalars(select(world.Ticket.headline).order_by(world.Ticket.headline)).all()


@route
def test_column_property(session, world):
    tickets = session.scalars(select(world.Ticket).options(undefer(world.Ticket.comment_count))).all()
    return more_than_own(world, "comments", sum(ticket.comment_count for ticket in tickets))


@route
def test_the_tenant_record(session, world):
    return session.scalars(select(world.Company)).all()


@route
def test_get_the_foreign_tenant_record(session, world):
    return session.get(world.Company, world.key(world.b, world.b.id))


@route
def test_platform_table(session, world):
    return session.scalars(select(world.Vendor)).all()


@route
def test_bundle_with_unmapped_columns(session, world):
    return session.execute(select(world.Ticket.__table__.c.subject, world.Agent.note).where(true())).all()
