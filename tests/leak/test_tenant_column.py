"""The tenant column itself: giving rows away, taking rows over, writing in another's name."""

from __future__ import annotations

import uuid

from sqlalchemy import case, insert, select, text, update

from .suite import route


def _literal(world, tenant):
    return str(tenant) if world.place.dialect == "postgresql" else tenant.hex


@route
def test_row_given_away_by_attribute(session, world):
    comment = session.query(world.Comment).filter_by(tenant_id=world.a.id).first()
    comment.tenant_id = world.b.id
    session.commit()


@route
def test_new_object_of_the_foreign_tenant(session, world):
    session.add(world.Tag(tenant_id=world.b.id, label="planted", note=""))
    session.commit()


@route
def test_pending_object_given_away(session, world):
    tag = world.new(world.Tag, label="planted", note="")
    session.add(tag)
    tag.tenant_id = world.b.id
    session.commit()


@route
def test_tenant_written_past_the_attribute(session, world):
    tag = world.new(world.Tag, label="planted", note="")
    session.add(tag)
    tag.__dict__["tenant_id"] = world.b.id
    session.commit()


@route
def test_rows_given_away_by_update(session, world):
    session.execute(
        update(world.Comment).values(tenant_id=world.b.id), execution_options={"synchronize_session": False}
    )
    session.commit()


@route
def test_rows_given_away_by_core(session, world):
    comments = world.Comment.__table__
    own = comments.c.tenant_id == world.a.id
    session.execute(update(comments).where(own).values(tenant_id=world.b.id))
    session.commit()


@route
def test_rows_given_away_by_text(session, world):
    session.execute(text(f"UPDATE invoices SET tenant_id = '{_literal(world, world.b.id)}'"))
    session.commit()


@route
def test_rows_given_away_by_an_expression(session, world):
    comments = world.Comment.__table__
    value = case((comments.c.body.is_not(None), world.b.id), else_=world.a.id)
    session.execute(update(comments).values(tenant_id=value))
    session.commit()


@route
def test_rows_given_to_nobody(session, world):
    session.execute(update(world.Invoice.__table__).values(tenant_id=uuid.uuid4()))
    session.commit()


@route
def test_rows_taken_over(session, world):
    comments = world.Comment.__table__
    session.execute(update(comments).where(comments.c.tenant_id == world.b.id).values(tenant_id=world.a.id))
    session.commit()
    return session.execute(select(comments.c.body)).all()


@route
def test_rows_taken_over_by_text(session, world):
    statement = f"UPDATE invoices SET tenant_id = '{_literal(world, world.a.id)}' RETURNING memo"
    return session.execute(text(statement)).all()


@route
def test_session_told_to_change_its_tenant(session, world):
    for name in ("tenant", "tenant_id"):
        try:
            setattr(session, name, world.b.id)
        except AttributeError:
            continue
    return session.scalars(select(world.Ticket)).all()


@route
def test_insert_with_an_expression_for_the_tenant(session, world):
    tags = world.Tag.__table__
    foreign = select(tags.c.tenant_id).where(tags.c.label == world.b.label()).scalar_subquery()
    session.execute(insert(tags).values(tenant_id=foreign, id=uuid.uuid4(), label="planted", note=""))
    session.commit()


@route
def test_tenant_record_renamed(session, world):
    session.execute(
        update(world.Company.__table__).where(world.Company.__table__.c.id == world.b.id).values(name="hers")
    )
    found = session.execute(select(world.Company.__table__.c.id).where(world.Company.__table__.c.name == "hers")).all()
    session.commit()
    return [f"{world.b.canary} renamed"] if found else None


@route
def test_foreign_tenant_record_made(session, world):
    company = world.Company.__table__
    values = {"id": uuid.uuid4(), "name": "planted"}
    session.execute(insert(company).values({**values, "tenant_id": values["id"]} if world.walled else values))
    session.commit()
    return [f"{world.b.canary} another tenant's record"]
