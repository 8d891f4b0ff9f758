"""Ordinary work with Core, text and cursors, within one tenant."""

from __future__ import annotations

import uuid
from contextlib import closing

from sqlalchemy import bindparam, case, delete, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql

from .suite import use


@use
def test_select_from_tables(session, world):
    tickets, comments = world.Ticket.__table__, world.Comment.__table__
    rows = session.execute(select(tickets.c.subject, comments.c.body).join(comments)).all()
    assert len(rows) == world.a.counts["comments"]
    return rows


@use
def test_every_table_counts_right(session, world):
    for table, expected in world.a.counts.items():
        assert session.scalar(text(f"SELECT count(*) FROM {table}")) == expected, table


@use
def test_insert_update_delete(session, world):
    tags, key = world.Tag.__table__, uuid.uuid4()
    session.execute(insert(tags).values(world.stamped(id=key, label="core", note="made")))
    assert session.execute(update(tags).where(tags.c.id == key).values(note="changed")).rowcount == 1
    assert session.scalar(select(tags.c.note).where(tags.c.id == key)) == "changed"
    assert session.execute(delete(tags).where(tags.c.id == key)).rowcount == 1
    session.commit()


@use
def test_returning(session, world):
    tags = world.Tag.__table__
    made = session.execute(
        insert(tags).values(world.stamped(id=uuid.uuid4(), label="r", note="n")).returning(tags.c.label)
    )
    assert made.scalar_one() == "r"
    changed = session.execute(update(tags).where(tags.c.label == "r").values(note="m").returning(tags.c.note))
    assert changed.scalars().all() == ["m"]
    gone = session.execute(delete(tags).where(tags.c.label == "r").returning(tags.c.label))
    assert gone.scalars().all() == ["r"]


@use
def test_many_rows_at_once(session, world):
    tags = world.Tag.__table__
    session.execute(insert(tags), [world.stamped(id=uuid.uuid4(), label=f"many {n}", note="") for n in range(200)])
    session.commit()
    assert session.scalar(select(func.count()).where(tags.c.label.like("many %"))) == 200


@use
def test_many_updates_at_once(session, world):
    agents = world.Agent.__table__
    statement = update(agents).where(agents.c.id == bindparam("key")).values(note=bindparam("text"))
    session.connection().execute(statement, [{"key": key, "text": f"note of {key}"} for key in world.a.agents])
    session.commit()
    assert set(session.scalars(select(agents.c.note))) == {f"note of {key}" for key in world.a.agents}


@use
def test_insert_from_select(session, world):
    tags, agents = world.Tag.__table__, world.Agent.__table__
    rows = select(agents.c.tenant_id, agents.c.id, agents.c.email, literal("copied"))
    session.execute(insert(tags).from_select(["tenant_id", "id", "label", "note"], rows))
    session.commit()
    assert session.scalar(select(func.count()).where(tags.c.note == "copied")) == world.a.counts["agents"]


@use
def test_case_and_functions(session, world):
    tickets = world.Ticket.__table__
    size = case((tickets.c.number > 2, "big"), else_="small")
    assert session.execute(select(size, func.count()).group_by(size).order_by(size)).all() == [("big", 2), ("small", 2)]
    assert session.scalar(select(func.upper(func.coalesce(literal(None), "x")))) == "X"


@use
def test_link_table(session, world):
    links = world.ticket_tags
    values = world.stamped(ticket_id=world.a.tickets[0], tag_id=world.a.tags[1])
    session.execute(insert(links).values(values))
    session.commit()
    assert session.scalar(select(func.count()).select_from(links)) == world.a.counts["ticket_tags"] + 1
    assert session.execute(delete(links).where(links.c.ticket_id == world.a.tickets[0])).rowcount == 2


@use
def test_text_reads(session, world):
    assert session.scalar(text("SELECT number FROM tickets WHERE number = :n"), {"n": 3}) == 3
    rows = session.execute(text("SELECT t.subject, c.body FROM tickets t JOIN comments c ON c.ticket_id = t.id")).all()
    assert len(rows) == world.a.counts["comments"]
    assert session.execute(text("SELECT number FROM tickets ORDER BY 1 DESC")).mappings().first()["number"] == 4
    return rows


@use
def test_text_writes(session, world):
    assert session.execute(text("UPDATE tickets SET subject = 'text' WHERE number = 1")).rowcount == 1
    assert session.execute(text("DELETE FROM comments")).rowcount == world.a.counts["comments"]
    session.commit()
    assert session.scalar(text("SELECT count(*) FROM tickets WHERE subject = 'text'")) == 1


@use
def test_text_insert(session, world):
    tags = world.Tag.__table__
    statement = text("INSERT INTO tags (tenant_id, id, label, note) VALUES (:tenant_id, :id, :label, '')").bindparams(
        bindparam("tenant_id", type_=tags.c.tenant_id.type), bindparam("id", type_=tags.c.id.type)
    )
    session.execute(statement, [world.stamped(id=uuid.uuid4(), label=f"text {n}") for n in range(3)])
    session.commit()
    assert session.scalar(text("SELECT count(*) FROM tags WHERE label LIKE 'text %'")) == 3


@use
def test_entities_from_text(session, world):
    statement = select(world.Agent).from_statement(text("SELECT * FROM agents ORDER BY email"))
    assert [agent.email for agent in session.scalars(statement)] == [world.a.email(0), world.a.email(1)]


@use
def test_text_inside_a_statement(session, world):
    assert len(session.scalars(select(world.Ticket).where(text("tickets.number > 2"))).all()) == 2


@use
def test_cursor(session, world):
    with closing(session.connection().connection.cursor()) as cursor:
        cursor.execute("SELECT count(*) FROM tickets")
        assert cursor.fetchone()[0] == world.a.counts["tickets"]


@use
def test_driver_sql(session, world):
    assert session.connection().exec_driver_sql("SELECT count(*) FROM agents").scalar() == world.a.counts["agents"]
    assert world.driver(session, "SELECT count(*) FROM tags")[0][0] == world.a.counts["tags"]


@use
def test_percent_and_colon_in_text(session, world):
    assert session.scalar(text("SELECT count(*) FROM tickets WHERE subject LIKE '%ticket%'")) == 3
    assert session.scalar(text(r"SELECT 'a\:b'")) == "a:b"


@use(dialect="postgresql")
def test_upsert(session, world):
    tags = world.Tag.__table__
    values = world.stamped(id=uuid.uuid4(), label=world.a.label(), note="again")
    insertion = postgresql.insert(tags).values(values)
    key = ["tenant_id", "label"]
    session.execute(insertion.on_conflict_do_nothing(index_elements=key))
    assert session.get(world.Tag, world.a.tags[0]).note != "again"
    session.expire_all()
    session.execute(insertion.on_conflict_do_update(index_elements=key, set_={"note": insertion.excluded.note}))
    session.commit()
    assert session.get(world.Tag, world.a.tags[0]).note == "again"


@use(dialect="postgresql")
def test_upsert_of_entities(session, world):
    rows = [world.stamped(label=world.a.label(n), note=f"u{n}") for n in range(4)]
    insertion = postgresql.insert(world.Tag).values(rows)
    statement = insertion.on_conflict_do_update(
        index_elements=["tenant_id", "label"], set_={"note": insertion.excluded.note}
    )
    tags = session.scalars(statement.returning(world.Tag), execution_options={"populate_existing": True}).all()
    assert sorted(tag.note for tag in tags) == ["u0", "u1", "u2", "u3"]


@use(dialect="postgresql")
def test_distinct_on_and_lateral(session, world):
    statement = "SELECT DISTINCT ON (kind) kind, number FROM tickets ORDER BY kind, number DESC"
    assert session.execute(text(statement)).all() == [("bug", 4), ("ticket", 3)]
    latest = "SELECT max(number) AS number FROM tickets WHERE agent_id = a.id"
    joined = session.execute(text(f"SELECT a.email, t.number FROM agents a, LATERAL ({latest}) t"))
    assert len(joined.all()) == world.a.counts["agents"]


@use(dialect="postgresql")
def test_update_from_and_delete_using(session, world):
    moved = "UPDATE tickets t SET subject = a.email FROM agents a WHERE a.id = t.agent_id"
    assert session.execute(text(moved)).rowcount == world.a.counts["tickets"]
    removed = "DELETE FROM comments c USING tickets t WHERE t.id = c.ticket_id AND t.number = 1"
    assert session.execute(text(removed)).rowcount == 1


@use(dialect="postgresql")
def test_skip_locked_and_transaction_locks(session, world):
    assert session.scalar(text("SELECT pg_try_advisory_xact_lock(99)")) is True
    statement = select(world.Ticket).order_by(world.Ticket.number).limit(1).with_for_update(skip_locked=True)
    assert session.scalars(statement).one().number == 1


@use(dialect="postgresql")
def test_explain(session, world):
    plan = session.execute(text("EXPLAIN (COSTS OFF) SELECT * FROM tickets WHERE number = 1")).scalars().all()
    assert plan


@use(dialect="postgresql")
def test_notify(session, world):
    session.execute(text("SELECT pg_notify('tickets', 'changed')"))
    session.commit()


@use(dialect="postgresql")
def test_local_settings(session, world):
    session.execute(text("SET LOCAL statement_timeout = '5s'"))
    session.execute(text("SET LOCAL lock_timeout = '1s'"))
    assert session.scalar(text("SHOW statement_timeout")) == "5s"
    assert session.scalar(text("SELECT count(*) FROM tickets")) == world.a.counts["tickets"]


@use(dialect="postgresql")
def test_declared_cursor(session, world):
    session.execute(text("DECLARE use_cursor CURSOR FOR SELECT number FROM tickets ORDER BY number"))
    assert session.execute(text("FETCH 2 FROM use_cursor")).scalars().all() == [1, 2]
    assert session.execute(text("FETCH ALL FROM use_cursor")).scalars().all() == [3, 4]


@use(dialect="postgresql")
def test_arrays_and_series(session, world):
    statement = text("SELECT count(*) FROM tickets WHERE number = ANY (:numbers)")
    assert session.scalar(statement, {"numbers": [1, 2]}) == 2
    assert session.scalar(text("SELECT sum(n) FROM generate_series(1, 4) n JOIN tickets ON number = n")) == 10


@use(dialect="sqlite")
def test_conflict_clauses_within_the_tenant(session, world):
    values = world.stamped(id=uuid.uuid4(), label="once", note="")
    tags = world.Tag.__table__
    session.execute(insert(tags).values(values))
    ignored = insert(tags).prefix_with("OR IGNORE").values(values)
    session.execute(ignored)
    session.commit()
    assert session.scalar(select(func.count()).where(tags.c.label == "once")) == 1


@use(dialect="sqlite")
def test_functions_of_sqlite(session, world):
    assert session.scalar(text("SELECT json_extract(details, '$.secret') FROM tickets")).startswith(world.a.canary)
    assert (
        session.scalar(text("SELECT group_concat(number, ',') FROM (SELECT number FROM tickets ORDER BY number)"))
        == "1,2,3,4"
    )
