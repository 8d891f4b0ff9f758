"""Does a value exist at another tenant? Nothing that ends differently may tell."""

from __future__ import annotations

import uuid

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from .probes import told_apart
from .suite import route


def _upsert(world):
    return postgresql.insert if world.place.dialect == "postgresql" else sqlite.insert


@route
def test_unique_email(session, world):
    def probe(email):
        session.add(world.new(world.Agent, email=email, note=""))
        session.flush()

    return told_apart(session, probe, held=world.b.email(), free="nobody@bravo.example")


@route
def test_unique_label_by_core(session, world):
    def probe(label):
        session.execute(insert(world.Tag.__table__).values(world.stamped(id=uuid.uuid4(), label=label, note="")))

    return told_apart(session, probe, held=world.b.label(), free="label nobody has")


@route
def test_unique_email_by_update(session, world):
    def probe(email):
        session.execute(update(world.Agent).where(world.Agent.id == world.a.agents[0]).values(email=email))

    return told_apart(session, probe, held=world.b.email(), free="nobody@bravo.example")


@route
def test_primary_key(session, world):
    def probe(key):
        session.execute(insert(world.Tag.__table__).values(world.stamped(id=key, label="probe", note="")))

    return told_apart(session, probe, held=world.b.tags[0], free=uuid.uuid4())


@route
def test_primary_key_of_an_object(session, world):
    def probe(key):
        session.add(world.new(world.Tag, id=key, label="probe", note=""))
        session.flush()

    return told_apart(session, probe, held=world.b.tags[0], free=uuid.uuid4())


@route
def test_integer_key(session, world):
    def probe(key):
        session.execute(insert(world.Invoice.__table__).values(world.stamped(id=key, memo="", total=1)))

    return told_apart(session, probe, held=world.b.invoices[-1], free=10_000)


@route
def test_primary_key_moved(session, world):
    def probe(key):
        tags = world.Tag.__table__
        session.execute(delete(world.ticket_tags).where(world.ticket_tags.c.tag_id == world.a.tags[0]))
        session.execute(update(tags).where(tags.c.id == world.a.tags[0]).values(id=key))

    return told_apart(session, probe, held=world.b.tags[0], free=uuid.uuid4())


@route
def test_upsert_that_does_nothing(session, world):
    def probe(email):
        values = world.stamped(id=uuid.uuid4(), email=email, note="", settings={})
        session.execute(_upsert(world)(world.Agent.__table__).values(values).on_conflict_do_nothing())
        return session.scalar(select(func.count()).where(world.Agent.id == values["id"]))

    return told_apart(session, probe, held=world.b.email(), free="nobody@bravo.example")


@route
def test_upsert_that_updates(session, world):
    columns = ["tenant_id", "email"] if world.walled else ["email"]

    def probe(email):
        values = world.stamped(id=uuid.uuid4(), email=email, note="", settings={})
        insertion = _upsert(world)(world.Agent.__table__).values(values)
        statement = insertion.on_conflict_do_update(index_elements=columns, set_={"note": "mine"})
        key = session.execute(statement.returning(world.Agent.__table__.c.id)).scalar()
        return key == values["id"]

    return told_apart(session, probe, held=world.b.email(), free="nobody@bravo.example")


@route
def test_upsert_on_the_primary_key(session, world):
    columns = ["tenant_id", "id"] if world.walled else ["id"]

    def probe(key):
        values = world.stamped(id=key, label="probe", note="")
        insertion = _upsert(world)(world.Tag.__table__).values(values)
        session.execute(insertion.on_conflict_do_update(index_elements=columns, set_={"note": "overwritten"}))
        return session.scalar(select(func.count()).where(world.Tag.label == "probe"))

    return told_apart(session, probe, held=world.b.tags[0], free=uuid.uuid4())


@route
def test_upsert_that_writes_a_foreign_row(session, world):
    columns = ["tenant_id", "email"] if world.walled else ["email"]
    values = {"tenant_id": world.b.id, "id": uuid.uuid4(), "email": world.b.email(), "note": "", "settings": {}}
    insertion = _upsert(world)(world.Agent.__table__).values(values)
    session.execute(insertion.on_conflict_do_update(index_elements=columns, set_={"note": "overwritten"}))
    session.commit()


@route
def test_upsert_for_the_foreign_tenant_as_an_oracle(session, world):
    def probe(email):
        values = {"tenant_id": world.b.id, "id": uuid.uuid4(), "email": email, "note": "", "settings": {}}
        session.execute(_upsert(world)(world.Agent.__table__).values(values).on_conflict_do_nothing())
        return session.scalar(select(func.count()).where(world.Agent.__table__.c.id == values["id"]))

    return told_apart(session, probe, held=world.b.email(), free="nobody@bravo.example")


@route
def test_merge_of_an_unknown_row(session, world):
    def probe(key):
        merged = session.merge(world.new(world.Tag, id=key, label="merged", note="merged"))
        session.flush()
        return merged in session and session.scalar(select(func.count()).select_from(world.Tag))

    return told_apart(session, probe, held=world.b.tags[0], free=uuid.uuid4())


@route
def test_foreign_key(session, world):
    def probe(key):
        session.execute(insert(world.Comment.__table__).values(world.stamped(id=uuid.uuid4(), ticket_id=key, body="")))

    return told_apart(session, probe, held=world.b.tickets[0], free=uuid.uuid4())


@route
def test_foreign_key_by_update(session, world):
    def probe(key):
        session.execute(update(world.Ticket.__table__).values(agent_id=key))

    return told_apart(session, probe, held=world.b.agents[0], free=uuid.uuid4())


@route
def test_foreign_key_of_a_link(session, world):
    def probe(key):
        tenant = {"tenant_id": world.a.id} if world.walled else {}
        session.execute(insert(world.ticket_tags).values(ticket_id=world.a.tickets[0], tag_id=key, **tenant))

    return told_apart(session, probe, held=world.b.tags[2], free=uuid.uuid4())


@route
def test_foreign_key_to_the_tenant_record(session, world):
    def probe(key):
        session.execute(update(world.Ticket.__table__).values(company_id=key))

    return told_apart(session, probe, held=world.b.id, free=uuid.uuid4())


@route
def test_get(session, world):
    def probe(key):
        return session.get(world.Ticket, world.key(world.b, key)) is None

    return told_apart(session, probe, held=world.b.tickets[0], free=uuid.uuid4())


@route
def test_rows_touched_by_an_update(session, world):
    def probe(key):
        return session.execute(update(world.Ticket).where(world.Ticket.id == key).values(number=0)).rowcount

    return told_apart(session, probe, held=world.b.tickets[0], free=uuid.uuid4())


@route
def test_rows_touched_by_a_delete(session, world):
    def probe(key):
        return session.execute(delete(world.Comment.__table__).where(world.Comment.__table__.c.id == key)).rowcount

    return told_apart(session, probe, held=world.b.comments[0], free=uuid.uuid4())


@route
def test_row_locks(session, world):
    def probe(email):
        return session.execute(select(world.Agent.id).where(world.Agent.email == email).with_for_update()).all() == []

    return told_apart(session, probe, held=world.b.email(), free="nobody@bravo.example")


@route(dialect="sqlite")
def test_insert_or_ignore(session, world):
    def probe(email):
        columns = "(tenant_id, id, email, note, settings)"
        values = f"('{world.a.id.hex}', '{uuid.uuid4().hex}', :email, '', '{{}}')"
        return session.execute(
            text(f"INSERT OR IGNORE INTO agents {columns} VALUES {values}"), {"email": email}
        ).rowcount

    return told_apart(session, probe, held=world.b.email(), free="nobody@bravo.example")


@route(dialect="sqlite")
def test_insert_or_replace(session, world):
    columns = "(tenant_id, id, label, note)"
    values = f"('{world.a.id.hex}', '{world.b.tags[2].hex}', 'replaced', '')"
    session.execute(text("DELETE FROM ticket_tags"))
    session.execute(text(f"INSERT OR REPLACE INTO tags {columns} VALUES {values}"))
    session.commit()


@route(dialect="sqlite")
def test_update_or_replace(session, world):
    key = world.b.tags[2].hex
    session.execute(text("DELETE FROM ticket_tags"))
    session.execute(text(f"UPDATE OR REPLACE tags SET id = '{key}' WHERE label = :label"), {"label": world.a.label()})
    session.commit()


@route(dialect="postgresql")
def test_merge_statement(session, world):
    session.execute(
        text(
            "MERGE INTO tickets t USING (SELECT number FROM tickets) s ON t.number = s.number"
            " WHEN MATCHED THEN UPDATE SET subject = 'overwritten'"
        )
    )
    session.commit()
