"""PostgreSQL's less common ways to read and write rows."""

from __future__ import annotations

import re

from sqlalchemy import func, select, tablesample, text
from sqlalchemy.dialects.postgresql import aggregate_order_by

from .probes import attempts, each, more_than_own
from .suite import Leak, route


@route(dialect="postgresql")
def test_tablesample(session, world):
    sampled = tablesample(world.Ticket.__table__, func.bernoulli(100))
    return session.execute(select(sampled.c.subject)).all()


@route(dialect="postgresql")
def test_tablesample_as_text(session, world):
    return session.execute(text("SELECT subject FROM tickets TABLESAMPLE SYSTEM (100)")).all()


@route(dialect="postgresql")
def test_current_of(session, world):
    session.execute(text("DECLARE leak_current CURSOR FOR SELECT * FROM tickets ORDER BY number DESC FOR UPDATE"))
    session.execute(text("FETCH 1 FROM leak_current"))
    session.execute(text("UPDATE tickets SET subject = 'overwritten' WHERE CURRENT OF leak_current"))
    session.commit()


@route(dialect="postgresql")
def test_cursor_held_over_the_commit(session, world):
    session.execute(text("DECLARE leak_held CURSOR WITH HOLD FOR SELECT subject FROM tickets"))
    session.commit()
    return session.execute(text("FETCH ALL leak_held")).all()


@route(dialect="postgresql")
def test_scrolling_cursor(session, world):
    session.execute(text("DECLARE leak_scroll SCROLL CURSOR FOR SELECT subject FROM tickets"))
    return [session.execute(text(f"FETCH {where} leak_scroll")).all() for where in ("LAST", "FIRST", "ABSOLUTE 4")]


@route(dialect="postgresql")
def test_cursor_opened_under_another_setting(session, world):
    """The policy's value is fixed when the cursor opens; a change made later must not widen it."""
    session.execute(text("DECLARE leak_early CURSOR FOR SELECT subject FROM tickets"))
    session.execute(text("SET LOCAL row_security = on"))
    return session.execute(text("FETCH ALL leak_early")).all()


@route(dialect="postgresql")
def test_whole_row(session, world):
    return session.execute(text("SELECT t::text, row_to_json(t)::text FROM tickets t")).all()


@route(dialect="postgresql")
def test_json_aggregate(session, world):
    return session.scalar(text("SELECT jsonb_agg(t)::text FROM tickets t"))


@route(dialect="postgresql")
def test_string_aggregate(session, world):
    subject = world.Ticket.subject
    return session.scalar(select(func.string_agg(subject, aggregate_order_by(text("','"), subject))))


@route(dialect="postgresql")
def test_physical_row_address(session, world):
    return session.execute(text("SELECT subject FROM tickets WHERE ctid >= '(0,1)'")).all()


@route(dialect="postgresql")
def test_physical_row_address_written(session, world):
    session.execute(text("UPDATE tickets SET subject = 'overwritten' WHERE ctid >= '(0,1)'"))
    session.commit()


@route(dialect="postgresql")
def test_prepared_statement(session, world):
    session.execute(text("PREPARE leak_own AS SELECT subject FROM tickets"))
    seen = session.execute(text("EXECUTE leak_own")).all()
    session.execute(text("DEALLOCATE leak_own"))
    return seen


@route(dialect="postgresql")
def test_generic_plan_made_under_the_other(session, world):
    statement = text("SELECT subject FROM tickets WHERE number > :least")
    for side in (world.b, world.a) * 4:
        with world.borrow(side) as other:
            other.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
            other.execute(statement, {"least": 0}).all()
    return session.execute(statement, {"least": 0}).all()


@route(dialect="postgresql")
def test_row_counts_of_explain(session, world):
    plan = "\n".join(session.execute(text("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT id FROM tickets")).scalars())
    # The topmost node: those below it count dead versions of A's own rows as well.
    returned = re.search(r"actual rows=([0-9.]+)", plan)
    return more_than_own(world, "tickets", int(float(returned[1])))


@route(dialect="postgresql")
def test_output_columns_of_explain(session, world):
    inner = f"SELECT max(subject)::int FROM tickets WHERE number >= {world.b.first_number}"
    return each(session, [f"EXPLAIN (ANALYZE, VERBOSE) SELECT ({inner})"])


@route(dialect="postgresql")
def test_skip_locked(session, world):
    return session.scalars(select(world.Ticket).with_for_update(skip_locked=True)).all()


@route(dialect="postgresql")
def test_row_locks_shared(session, world):
    return session.execute(text("SELECT note FROM agents FOR KEY SHARE")).all()


@route(dialect="postgresql")
def test_data_changing_expression(session, world):
    return session.execute(
        text(
            "WITH gone AS (DELETE FROM comments RETURNING body) SELECT body FROM gone UNION ALL SELECT note FROM agents"
        )
    ).all()


@route(dialect="postgresql")
def test_update_from_as_text(session, world):
    statement = "UPDATE tickets t SET subject = a.note FROM agents a WHERE a.email = :email RETURNING t.subject"
    return session.execute(text(statement), {"email": world.b.email()}).all()


@route(dialect="postgresql")
def test_delete_using(session, world):
    statement = "DELETE FROM comments c USING tickets t WHERE t.id = c.ticket_id RETURNING c.body, t.subject"
    return session.execute(text(statement)).all()


@route(dialect="postgresql")
def test_merge_with_returning(session, world):
    statement = "MERGE INTO invoices i USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET total = i.total"
    session.execute(text(statement + " + 1"))
    session.commit()


@route(dialect="postgresql")
def test_lateral_join_as_text(session, world):
    statement = "SELECT o.subject FROM agents a, LATERAL (SELECT subject FROM tickets t WHERE t.number > 0) o"
    return session.execute(text(statement)).all()


@route(dialect="postgresql")
def test_only_and_inheritance(session, world):
    return each(session, ["SELECT subject FROM ONLY tickets", "SELECT tableoid::regclass::text, note FROM agents*"])


@route(dialect="postgresql")
def test_rows_joined_to_system_columns(session, world):
    return session.execute(text("SELECT xmin::text, ctid::text, subject FROM tickets")).all()


@route(dialect="postgresql")
def test_notification_with_rows(session, world):
    seen = attempts(
        session, [lambda: session.execute(text("SELECT pg_notify('leak', subject), subject FROM tickets")).all()]
    )
    session.rollback()
    return seen


@route(dialect="postgresql")
def test_sequence_that_others_use_too(session, world):
    """What a sequence stands at tells how much the other tenants write."""
    names = ["invoices", *world.spellings("invoices")]
    sequences = [row[0] for row in each(session, [f"SELECT pg_get_serial_sequence('{n}', 'id')" for n in names])]
    seen = each(session, [f"SELECT last_value FROM {name}" for name in sequences if "." in (name or "")])
    own = max(world.a.invoices)
    return [Leak(f"the sequence stands at {row[0]}") for row in seen if not isinstance(row, str) and row[0] > own]
