"""Ordinary work through the ORM, within one tenant: everything works and gives the tenant's own rows, all of them."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import delete, event, exists, func, insert, inspect, or_, select, union_all, update
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.orm import (
    aliased,
    contains_eager,
    defer,
    joinedload,
    load_only,
    selectinload,
    subqueryload,
    undefer,
    with_parent,
    with_polymorphic,
)

from .suite import use


def _ticket(session, world, number=0):
    return session.scalars(select(world.Ticket).where(world.Ticket.id == world.a.tickets[number])).one()


@use
def test_select_gives_every_own_row(session, world):
    found = session.scalars(select(world.Ticket)).all()
    assert {ticket.id for ticket in found} == {*world.a.tickets, *world.a.bugs}
    return found


@use
def test_get_by_own_id(session, world):
    ticket = session.get(world.Ticket, world.a.tickets[0])
    assert ticket.tenant_id == world.a.id
    assert session.get(world.Ticket, world.a.tickets[0]) is ticket
    return ticket


@use
def test_get_by_whole_key(session, world):
    assert session.get(world.Agent, (world.a.id, world.a.agents[0])).id == world.a.agents[0]
    assert session.get_one(world.Agent, world.a.agents[1]).email == world.a.email(1)


@use
def test_get_of_a_missing_row(session, world):
    assert session.get(world.Ticket, uuid.uuid4()) is None
    with pytest.raises(NoResultFound):
        session.get_one(world.Ticket, uuid.uuid4())


@use
def test_new_row_gets_the_tenant(session, world):
    tag = world.Tag(label="new", note="")
    session.add(tag)
    session.commit()
    session.refresh(tag)
    assert tag.tenant_id == world.a.id
    assert session.scalar(select(func.count()).select_from(world.Tag)) == world.a.counts["tags"] + 1


@use
def test_new_graph_gets_the_tenant(session, world):
    agent = world.Agent(email="new@alfa.example", note="", tickets=[world.Ticket(subject="new", number=9)])
    agent.tickets[0].comments = [world.Comment(body="one"), world.Comment(body="two")]
    agent.tickets[0].tags.append(session.scalars(select(world.Tag)).first())
    session.add(agent)
    session.commit()
    session.expire_all()
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.subject == "new")).one()
    assert (ticket.agent.email, len(ticket.comments), len(ticket.tags)) == ("new@alfa.example", 2, 1)
    assert {row.tenant_id for row in (agent, ticket, *ticket.comments)} == {world.a.id}


@use
def test_id_is_known_before_the_flush(session, world):
    ticket = world.Ticket(subject="early", number=1)
    comment = world.Comment(body="early", ticket_id=ticket.id)
    session.add_all([ticket, comment])
    session.commit()
    assert comment.ticket is ticket


@use
def test_attribute_changed(session, world):
    _ticket(session, world).subject = "changed"
    session.commit()
    session.expire_all()
    assert _ticket(session, world).subject == "changed"


@use
def test_row_deleted_with_what_hangs_on_it(session, world):
    ticket = _ticket(session, world, 2)
    session.delete(ticket)
    session.commit()
    assert session.get(world.Ticket, world.a.tickets[2]) is None
    left = session.scalar(select(func.count()).select_from(world.Comment))
    assert left == world.a.counts["comments"] - 1


@use
def test_links_added_and_removed(session, world):
    ticket = _ticket(session, world)
    ticket.tags = session.scalars(select(world.Tag)).all()
    session.commit()
    session.expire_all()
    assert len(_ticket(session, world).tags) == world.a.counts["tags"]
    _ticket(session, world).tags.clear()
    session.commit()
    session.expire_all()
    assert _ticket(session, world).tags == []


@use
def test_joined_inheritance(session, world):
    session.add(world.BugTicket(subject="bug", number=5, severity=3, trace="here"))
    session.commit()
    session.expire_all()
    bugs = session.scalars(select(world.BugTicket).order_by(world.BugTicket.severity)).all()
    assert [bug.severity for bug in bugs] == [1, 3]
    kinds = session.scalars(select(with_polymorphic(world.Ticket, "*"))).all()
    assert sum(isinstance(ticket, world.BugTicket) for ticket in kinds) == 2


@use
def test_child_row_changed_and_deleted(session, world):
    bug = session.get(world.BugTicket, world.a.bugs[0])
    bug.trace, bug.subject = "changed", "changed too"
    session.commit()
    session.delete(bug)
    session.commit()
    assert session.scalars(select(world.BugTicket)).all() == []


@use
def test_self_reference(session, world):
    parent = _ticket(session, world)
    parent.children.append(world.Ticket(subject="child", number=7))
    session.commit()
    session.expire_all()
    assert {child.subject for child in parent.children} >= {"child"}
    assert all(child.parent is parent for child in parent.children)


@use
def test_reference_set_to_none_keeps_the_tenant(session, world):
    ticket = _ticket(session, world)
    ticket.agent = None
    session.commit()
    session.refresh(ticket)
    assert (ticket.agent_id, ticket.tenant_id) == (None, world.a.id)


@use
def test_deleted_parent_sets_references_to_null(session, world):
    agent = session.get(world.Agent, world.a.agents[1])
    mine = [ticket.id for ticket in agent.tickets]
    session.delete(agent)
    session.commit()
    session.expire_all()
    assert mine
    assert all(session.get(world.Ticket, key).agent_id is None for key in mine)


@use
def test_lazy_loads(session, world):
    ticket = _ticket(session, world, 1)
    assert ticket.parent.id == world.a.tickets[0]
    assert ticket.company.id == world.a.id
    assert len(ticket.comments) == 1
    assert ticket.tags[0].label == world.a.label(1)
    return [ticket.parent, ticket.comments, ticket.agent, ticket.company]


@use
def test_eager_loads(session, world):
    for load in (joinedload, selectinload, subqueryload):
        session.expunge_all()
        options = [load(world.Ticket.comments), load(world.Ticket.tags), load(world.Ticket.agent)]
        tickets = session.scalars(select(world.Ticket).options(*options)).unique().all()
        assert sum(len(ticket.comments) for ticket in tickets) == world.a.counts["comments"]
        assert all("agent" not in inspect(ticket).unloaded for ticket in tickets)


@use
def test_contained_eager_load(session, world):
    statement = select(world.Ticket).join(world.Ticket.comments).options(contains_eager(world.Ticket.comments))
    assert len(session.scalars(statement).unique().all()) == world.a.counts["tickets"]


@use
def test_joins_over_several_tables(session, world):
    statement = (
        select(world.Agent.email, world.Tag.label, world.Comment.body)
        .join(world.Agent.tickets)
        .join(world.Ticket.tags)
        .join(world.Ticket.comments)
    )
    rows = session.execute(statement).all()
    assert len(rows) == world.a.counts["tickets"]
    return rows


@use
def test_outer_join(session, world):
    session.add(world.Agent(email="idle@alfa.example", note=""))
    session.flush()
    statement = select(world.Agent.email, func.count(world.Ticket.id)).outerjoin(world.Agent.tickets)
    counts = dict(session.execute(statement.group_by(world.Agent.email)).all())
    assert counts["idle@alfa.example"] == 0
    assert sum(counts.values()) == world.a.counts["tickets"]


@use
def test_aggregates(session, world):
    row = session.execute(
        select(
            func.count(), func.sum(world.Ticket.number), func.min(world.Ticket.number), func.max(world.Ticket.number)
        )
    ).one()
    assert tuple(row) == (4, 10, 1, 4)


@use
def test_grouping(session, world):
    statement = select(world.Ticket.kind, func.count()).group_by(world.Ticket.kind).having(func.count() > 1)
    assert session.execute(statement).all() == [("ticket", 3)]


@use
def test_pages_by_number(session, world):
    ordered = select(world.Ticket.number).order_by(world.Ticket.number)
    pages = [session.scalars(ordered.limit(3).offset(start)).all() for start in (0, 3)]
    assert pages == [[1, 2, 3], [4]]


@use
def test_pages_by_key(session, world):
    seen, after = [], 0
    while page := session.scalars(
        select(world.Ticket.number).where(world.Ticket.number > after).order_by(world.Ticket.number).limit(2)
    ).all():
        seen, after = [*seen, *page], page[-1]
    assert seen == [1, 2, 3, 4]


@use
def test_exists(session, world):
    statement = select(exists().where(world.Agent.email == world.a.email()))
    assert session.scalar(statement) is True
    assert len(session.scalars(select(world.Ticket).where(world.Ticket.comments.any())).all()) == 4
    assert len(session.scalars(select(world.Comment).where(world.Comment.ticket.has(number=1))).all()) == 1


@use
def test_subqueries(session, world):
    busiest = select(func.max(world.Ticket.number)).scalar_subquery()
    assert session.scalars(select(world.Ticket.number).where(world.Ticket.number == busiest)).all() == [4]
    inner = select(world.Ticket.agent_id, func.count().label("n")).group_by(world.Ticket.agent_id).subquery()
    assert session.scalars(select(inner.c.n).join(world.Agent, world.Agent.id == inner.c.agent_id)).all() == [2, 2]


@use
def test_common_table_expressions(session, world):
    open_tickets = select(world.Ticket.id, world.Ticket.number).cte("open_tickets")
    statement = select(func.sum(open_tickets.c.number)).join(
        world.Comment, world.Comment.ticket_id == open_tickets.c.id
    )
    assert session.scalar(statement) == 10


@use
def test_recursive_expression(session, world):
    top = select(world.Agent.id).where(world.Agent.manager_id.is_(None)).cte("line", recursive=True)
    report = aliased(world.Agent)
    line = top.union_all(select(report.id).join(top, report.manager_id == top.c.id))
    assert len(session.scalars(select(line.c.id)).all()) == world.a.counts["agents"]


@use
def test_union(session, world):
    both = union_all(select(world.Agent.note), select(world.Tag.note))
    rows = session.scalars(both).all()
    assert len(rows) == world.a.counts["agents"] + world.a.counts["tags"]
    return rows


@use
def test_window_function(session, world):
    rank = func.row_number().over(order_by=world.Ticket.number.desc())
    assert session.execute(select(rank, world.Ticket.number).order_by(rank)).all() == [(1, 4), (2, 3), (3, 2), (4, 1)]


@use
def test_join_of_a_table_with_itself(session, world):
    boss = aliased(world.Agent)
    rows = session.execute(select(world.Agent.email, boss.email).join(boss, world.Agent.manager)).all()
    assert rows == [(world.a.email(1), world.a.email(0))]


@use
def test_filters(session, world):
    ticket = world.Ticket
    assert len(session.scalars(select(ticket).where(or_(ticket.number == 1, ticket.number > 3))).all()) == 2
    assert len(session.scalars(select(ticket).where(ticket.subject.like("%ticket%"))).all()) == 3
    assert len(session.scalars(select(ticket).where(ticket.number.between(2, 3))).all()) == 2
    assert len(session.scalars(select(ticket).where(ticket.id.in_(world.a.tickets[:2]))).all()) == 2
    assert len(session.scalars(select(ticket).where(ticket.id.in_([]))).all()) == 0


@use
def test_only_some_columns(session, world):
    agent = session.scalars(select(world.Agent).options(load_only(world.Agent.email))).first()
    assert agent.note.startswith(world.a.canary)
    tag = session.scalars(select(world.Tag).options(defer(world.Tag.note))).first()
    assert tag.note.startswith(world.a.canary)


@use
def test_hybrid_and_column_property(session, world):
    statement = select(world.Ticket).options(undefer(world.Ticket.comment_count)).where(world.Ticket.number == 1)
    ticket = session.scalars(statement).one()
    assert ticket.comment_count == 1
    assert ticket.headline == session.scalar(select(world.Ticket.headline).where(world.Ticket.number == 1))


@use
def test_json(session, world):
    ticket = _ticket(session, world)
    ticket.details = {"labels": ["a", "b"], "depth": {"n": 1}}
    session.commit()
    session.expire_all()
    assert _ticket(session, world).details["depth"] == {"n": 1}
    found = select(world.Ticket.id).where(world.Ticket.details["depth"]["n"].as_integer() == 1)
    assert session.scalars(found).all() == [ticket.id]


@use
def test_bulk_update_of_the_orm(session, world):
    result = session.execute(update(world.Ticket).where(world.Ticket.number > 2).values(number=50))
    assert result.rowcount == 2
    session.commit()
    assert session.scalar(select(func.sum(world.Ticket.number))) == 103


@use
def test_bulk_delete_of_the_orm(session, world):
    result = session.execute(delete(world.Comment).where(world.Comment.ticket_id == world.a.tickets[0]))
    assert result.rowcount == 1
    session.commit()
    assert session.scalar(select(func.count()).select_from(world.Comment)) == world.a.counts["comments"] - 1


@use
def test_bulk_update_by_primary_key(session, world):
    keys = [{"tenant_id": world.a.id, "id": key, "note": "renamed"} for key in world.a.agents]
    session.execute(update(world.Agent), keys)
    session.commit()
    assert session.scalars(select(world.Agent.note).distinct()).all() == ["renamed"]


@use
def test_bulk_insert_of_the_orm(session, world):
    rows = [{"tenant_id": world.a.id, "label": f"bulk {n}", "note": ""} for n in range(5)]
    made = session.scalars(insert(world.Tag).returning(world.Tag), rows).all()
    session.commit()
    assert len({tag.id for tag in made}) == 5
    assert session.scalar(select(func.count()).select_from(world.Tag)) == world.a.counts["tags"] + 5


@use
def test_bulk_methods_of_the_session(session, world):
    session.bulk_save_objects([world.Tag(tenant_id=world.a.id, label="saved", note="")])
    session.bulk_insert_mappings(world.Tag, [{"tenant_id": world.a.id, "label": "mapped", "note": ""}])
    session.bulk_update_mappings(world.Tag, [{"tenant_id": world.a.id, "id": world.a.tags[0], "note": "updated"}])
    session.commit()
    assert session.scalar(select(func.count()).select_from(world.Tag)) == world.a.counts["tags"] + 2
    assert session.get(world.Tag, world.a.tags[0]).note == "updated"


@use
def test_merge(session, world):
    session.merge(world.Agent(id=world.a.agents[0], tenant_id=world.a.id, email="merged@alfa.example", note="merged"))
    session.merge(world.Agent(tenant_id=world.a.id, id=uuid.uuid4(), email="made@alfa.example", note="made"))
    session.commit()
    assert session.get(world.Agent, world.a.agents[0]).note == "merged"
    assert session.scalar(select(func.count()).select_from(world.Agent)) == world.a.counts["agents"] + 1


@use
def test_expunged_and_added_again(session, world):
    ticket = _ticket(session, world)
    session.expunge(ticket)
    ticket.subject = "while away"
    session.add(ticket)
    session.commit()
    session.expire_all()
    assert _ticket(session, world).subject == "while away"


@use
def test_refresh_and_expire(session, world):
    ticket = _ticket(session, world)
    session.execute(update(world.Ticket.__table__).where(world.Ticket.id == ticket.id).values(subject="outside"))
    session.refresh(ticket)
    assert ticket.subject == "outside"
    session.expire(ticket, ["subject"])
    assert ticket.subject == "outside"


@use
def test_legacy_query(session, world):
    query = session.query(world.Ticket).filter(world.Ticket.number > 1).order_by(world.Ticket.number)
    assert [ticket.number for ticket in query] == [2, 3, 4]
    assert query.count() == 3
    assert query.filter_by(kind="bug").one().severity == 1
    assert session.query(world.Ticket).filter_by(number=4).update({"number": 40}) == 1


@use
def test_rows_locked_for_update(session, world):
    ticket = session.scalars(select(world.Ticket).where(world.Ticket.number == 1).with_for_update()).one()
    ticket.number = 11
    session.commit()
    assert session.get(world.Ticket, ticket.id, with_for_update=True).number == 11


@use
def test_reading_in_parts(session, world):
    statement = select(world.Ticket).order_by(world.Ticket.number).execution_options(yield_per=2)
    assert [ticket.number for ticket in session.scalars(statement)] == [1, 2, 3, 4]
    parts = session.scalars(statement).partitions()
    assert [len(part) for part in parts] == [2, 2]


@use
def test_with_parent_and_comparison(session, world):
    ticket = _ticket(session, world)
    assert len(session.scalars(select(world.Comment).where(with_parent(ticket, world.Ticket.comments))).all()) == 1
    assert len(session.scalars(select(world.Comment).where(world.Comment.ticket == ticket)).all()) == 1


@use
def test_unique_value_that_the_other_tenant_has(session, world):
    session.add(world.Agent(email=world.b.email(), note=""))
    session.add(world.Tag(label=world.b.label(), note=""))
    session.commit()
    assert session.scalar(select(func.count()).where(world.Agent.email == world.b.email())) == 1


@use
def test_id_that_the_other_tenant_has(session, world):
    session.add(world.Tag(id=world.b.tags[0], label="same id", note="mine"))
    session.commit()
    session.expire_all()
    assert session.get(world.Tag, world.b.tags[0]).note == "mine"


@use
def test_own_unique_value_is_refused(session, world):
    session.add(world.Agent(email=world.a.email(), note="twice"))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    assert len(session.scalars(select(world.Agent)).all()) == world.a.counts["agents"]


@use
def test_reference_to_nothing_is_refused(session, world):
    session.add(world.Comment(ticket_id=uuid.uuid4(), body="nowhere"))
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()
    assert len(session.scalars(select(world.Comment)).all()) == world.a.counts["comments"]


@use
def test_numbered_by_the_database(session, world):
    invoices = [world.Invoice(memo=f"new {n}", total=n) for n in range(3)]
    session.add_all(invoices)
    session.commit()
    assert len({invoice.id for invoice in invoices} - set(world.a.invoices)) == 3
    assert session.get(world.Invoice, invoices[0].id).memo == "new 0"


@use
def test_shared_rows(session, world):
    assert session.get(world.Product, "desk").title == "Desk"
    ticket = _ticket(session, world)
    assert ticket.product.title == "Desk"
    statement = select(world.Product.title, func.count()).join(
        world.Ticket, world.Ticket.product_code == world.Product.code
    )
    assert session.execute(statement.group_by(world.Product.title)).all() == [("Desk", world.a.counts["tickets"])]


@use
def test_reference_to_a_shared_row_that_is_missing(session, world):
    _ticket(session, world).product_code = "no such product"
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()


@use
def test_the_tenants_own_record(session, world):
    company = session.scalars(select(world.Company)).one()
    assert company.id == company.tenant_id == world.a.id
    company.name = "renamed"
    session.commit()
    assert session.get(world.Company, world.a.id).name == "renamed"
    assert len(company.tickets) == world.a.counts["tickets"]


@use
def test_session_knows_its_tenant(session, world):
    assert session.tenant.id == world.a.id
    assert session.info["tenant"].slug == world.a.slug


@use
def test_to_dict(session, world):
    as_dict = session.get(world.Agent, world.a.agents[0]).to_dict()
    assert as_dict["email"] == world.a.email()
    return as_dict


@use
def test_events_of_the_application(session, world):
    seen = []

    def note(_, __, target):
        seen.append(target.label)

    event.listen(world.Tag, "before_insert", note)
    try:
        session.add(world.Tag(label="heard", note=""))
        session.flush()
    finally:
        event.remove(world.Tag, "before_insert", note)
    assert seen == ["heard"]
