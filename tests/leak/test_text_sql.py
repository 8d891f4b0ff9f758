"""SQL written by hand: forgotten filters, injected conditions, writes without a tenant."""

from __future__ import annotations

import uuid

from sqlalchemy import bindparam, literal_column, select, text

from .probes import each, more_than_own
from .suite import route


@route
def test_select(session, world):
    return session.execute(text("SELECT subject, number FROM tickets")).all()


@route
def test_select_with_parameter(session, world):
    statement = text("SELECT note FROM agents WHERE email = :email")
    return session.execute(statement, {"email": world.b.email()}).all()


@route
def test_select_by_tenant(session, world):
    statement = text("SELECT * FROM tickets WHERE tenant_id = :tenant").bindparams(
        bindparam("tenant", world.b.id, world.Ticket.__table__.c.tenant_id.type)
    )
    return session.execute(statement).all()


@route
def test_injected_condition(session, world):
    injected = f"{uuid.uuid4()}' OR '1'='1"
    return session.execute(text(f"SELECT * FROM tickets WHERE subject = '{injected}'")).all()


@route
def test_injected_union(session, world):
    injected = "x' UNION SELECT note FROM agents UNION SELECT trace FROM bug_tickets WHERE '1'='1"
    return session.execute(text(f"SELECT subject FROM tickets WHERE subject = '{injected}'")).all()


@route
def test_injected_ordering(session, world):
    injected = text("(SELECT max(number) FROM tickets)")
    return session.execute(
        select(world.Invoice.total, literal_column("(SELECT max(note) FROM agents)")).order_by(injected)
    ).all()


@route
def test_text_inside_an_orm_statement(session, world):
    return session.scalars(select(world.Ticket).where(text("1 = 1 OR tickets.number > 0"))).all()


@route
def test_text_criteria_that_breaks_out(session, world):
    return session.scalars(select(world.Agent).where(text("1 = 0 OR 1 = 1 --"))).all()


@route
def test_from_statement(session, world):
    return session.scalars(select(world.Agent).from_statement(text("SELECT * FROM agents"))).all()


@route
def test_from_statement_with_columns(session, world):
    agent = world.Agent.__table__
    statement = text("SELECT tenant_id, id, note FROM agents").columns(agent.c.tenant_id, agent.c.id, agent.c.note)
    return session.scalars(select(world.Agent).from_statement(statement)).all()


@route
def test_text_as_subquery(session, world):
    inner = text("SELECT body FROM comments").columns(world.Comment.__table__.c.body).subquery("inner_text")
    return session.execute(select(inner.c.body)).all()


@route
def test_count(session, world):
    return more_than_own(world, "comments", session.scalar(text("SELECT count(*) FROM comments")))


@route
def test_update(session, world):
    session.execute(text("UPDATE tickets SET subject = 'overwritten'"))
    session.commit()


@route
def test_update_returning(session, world):
    return session.execute(text("UPDATE tickets SET number = number RETURNING subject")).all()


@route
def test_delete(session, world):
    session.execute(text("DELETE FROM comments"))
    session.commit()


@route
def test_insert_for_the_foreign_tenant(session, world):
    tags = world.Tag.__table__
    statement = text("INSERT INTO tags (tenant_id, id, label, note) VALUES (:tenant, :id, 'planted', '')")
    tenant, key = bindparam("tenant", world.b.id, tags.c.tenant_id.type), bindparam("id", uuid.uuid4(), tags.c.id.type)
    session.execute(statement.bindparams(tenant, key))
    session.commit()


@route
def test_insert_select(session, world):
    session.execute(
        text("UPDATE tickets SET subject = (SELECT max(note) FROM agents WHERE email = :email)"),
        {"email": world.b.email()},
    )
    return session.execute(text("SELECT subject FROM tickets")).all()


@route
def test_several_statements_at_once(session, world):
    return each(
        session,
        ["SELECT 1; SELECT subject FROM tickets", "SELECT note FROM agents; SELECT 1", "SELECT note FROM agents;"],
    )


@route
def test_values_in_error_messages(session, world):
    where = f"FROM tickets WHERE number >= {world.b.first_number}"
    casts = ("CAST(subject AS integer)", "subject::uuid", "json_extract('{}', subject)", "load_extension(subject)")
    return each(session, [f"SELECT {cast} {where}" for cast in casts])


@route
def test_value_in_a_division_error(session, world):
    statements = [
        "SELECT 1 / (number - {0}) FROM tickets",
        "SELECT abs(CASE number WHEN {0} THEN -9223372036854775808 END) FROM tickets",
    ]
    seen = [each(session, [s.format(number) for s in statements]) for number in (world.b.first_number, 123)]
    return more_than_own(world, None, int(str(seen[0]).replace(str(world.b.first_number), "123") != str(seen[1])))
