"""Bulk writes: they skip the unit of work, and with it whatever listens there."""

from __future__ import annotations

import uuid

from sqlalchemy import bindparam, delete, insert, update

from .suite import route


@route
def test_bulk_save_objects_of_the_foreign_tenant(session, world):
    session.bulk_save_objects([world.Tag(tenant_id=world.b.id, id=uuid.uuid4(), label="planted", note="")])
    session.commit()


@route
def test_bulk_save_objects_over_a_foreign_row(session, world):
    with world.borrow(world.b) as other:
        tag = other.get(world.Tag, world.key(world.b, world.b.tags[0]))
        other.expunge(tag)
    tag.note = "overwritten"
    session.bulk_save_objects([tag])
    session.commit()


@route
def test_bulk_insert_mappings(session, world):
    session.bulk_insert_mappings(
        world.Tag,
        [{"tenant_id": world.b.id, "id": uuid.uuid4(), "label": f"planted {n}", "note": ""} for n in range(3)],
    )
    session.commit()


@route
def test_bulk_update_mappings(session, world):
    session.bulk_update_mappings(
        world.Ticket, [{"tenant_id": world.b.id, "id": key, "subject": "overwritten"} for key in world.b.tickets]
    )
    session.commit()


@route
def test_bulk_update_mappings_without_tenant(session, world):
    session.bulk_update_mappings(
        world.Ticket, [{"tenant_id": world.a.id, "id": key, "subject": "overwritten"} for key in world.b.tickets[:2]]
    )
    session.commit()


@route
def test_bulk_update_that_takes_rows(session, world):
    session.bulk_update_mappings(
        world.Tag, [{"id": world.b.tags[0], "tenant_id": world.b.id, "label": "taken", "note": "taken"}]
    )
    session.commit()


@route
def test_update_by_primary_keys(session, world):
    session.execute(
        update(world.Agent), [{"tenant_id": world.b.id, "id": key, "note": "overwritten"} for key in world.b.agents]
    )
    session.commit()


@route
def test_insert_of_many(session, world):
    session.execute(
        insert(world.Tag),
        [{"tenant_id": world.b.id, "id": uuid.uuid4(), "label": f"m{n}", "note": ""} for n in range(3)],
    )
    session.commit()


@route
def test_insert_of_own_and_foreign_together(session, world):
    rows = [
        {"tenant_id": side.id, "id": uuid.uuid4(), "label": f"mixed {place}", "note": ""}
        for place, side in enumerate((world.a, world.a, world.b, world.a))
    ]
    session.execute(insert(world.Tag.__table__), rows)
    session.commit()


@route
def test_insert_returning(session, world):
    row = {"tenant_id": world.b.id, "id": uuid.uuid4(), "label": "returned", "note": ""}
    session.scalars(insert(world.Tag).returning(world.Tag), [row]).all()
    session.commit()


@route
def test_insert_values_list(session, world):
    row = {"tenant_id": world.b.id, "id": uuid.uuid4(), "label": "listed", "note": ""}
    session.execute(insert(world.Tag).values([row]))
    session.commit()


@route
def test_executemany_update_with_parameters(session, world):
    tickets = world.Ticket.__table__
    statement = update(tickets).where(tickets.c.id == bindparam("key")).values(subject="overwritten")
    session.connection().execute(statement, [{"key": key} for key in world.b.tickets])
    session.commit()


@route
def test_executemany_delete_with_parameters(session, world):
    comments = world.Comment.__table__
    session.connection().execute(
        delete(comments).where(comments.c.id == bindparam("key")), [{"key": key} for key in world.b.comments]
    )
    session.commit()


@route
def test_orm_update_of_every_row(session, world):
    session.execute(update(world.Ticket).values(subject="overwritten"))
    session.commit()


@route
def test_orm_delete_of_every_row(session, world):
    session.execute(delete(world.Comment))
    session.commit()


@route
def test_orm_update_with_foreign_criteria(session, world):
    session.execute(update(world.Ticket).where(world.Ticket.tenant_id == world.b.id).values(number=0))
    session.commit()


@route
def test_legacy_query_update(session, world):
    session.query(world.Ticket).update({"number": 0}, synchronize_session=False)
    session.commit()


@route
def test_legacy_query_delete(session, world):
    session.query(world.Comment).delete(synchronize_session="fetch")
    session.commit()
