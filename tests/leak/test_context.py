"""No tenant, a tenant no longer, and a tenant set by hand for the session that comes next."""

from __future__ import annotations

from sqlalchemy import select, text

from .probes import attempts, each
from .suite import Leak, route

SUBJECTS = text("SELECT subject FROM tickets")


def _next_sessions(world, looks=4):
    """What the next borrowers of tenant A see, and whether tenant B's next see anything of A's."""
    seen = []
    for _ in range(looks):
        with world.borrow(world.a) as following:
            seen.append(following.execute(SUBJECTS).all())
        with world.borrow(world.b) as following:
            rows = following.execute(SUBJECTS).scalars().all()
            seen += [Leak(f"B's next session sees {row}") for row in rows if world.a.canary in row]
    return seen


@route
def test_session_after_its_end(session, world):
    with world.borrow(world.a) as ended:
        ended.execute(SUBJECTS)
    try:
        return ended.execute(SUBJECTS).all()
    finally:
        ended.close()


@route
def test_lazy_load_after_the_end(session, world):
    with world.borrow(world.b) as other:
        ticket = other.get(world.Ticket, world.key(world.b, world.b.tickets[0]))
        comments = ticket.comments
    return attempts(session, [lambda: _read_on(session, world)]) if comments else None


def _read_on(session, world):
    return session.scalars(select(world.Comment)).all()


@route
def test_connection_without_a_tenant(session, world):
    engine = session.connection().engine
    session.close()
    with engine.connect() as connection:
        return [connection.execute(SUBJECTS).all()]


@route
def test_qualified_names_without_a_tenant(session, world):
    """A login's own search path finds nothing; a name with its schema needs none."""
    engine = session.connection().engine
    session.close()
    seen = []
    for name in world.spellings("tickets"):
        with engine.connect() as connection:
            seen += attempts(connection, [lambda n=name: connection.execute(text(f"SELECT subject FROM {n}")).all()])
    return seen


@route
def test_connection_without_a_tenant_after_anothers_session(session, world):
    engine = session.connection().engine
    session.close()
    with world.borrow(world.b) as other:
        other.execute(SUBJECTS).all()
        other.commit()
    with engine.connect() as connection:
        return connection.execute(SUBJECTS).all()


@route
def test_orm_without_a_tenant(session, world):
    engine = session.connection().engine
    session.close()
    with engine.connect() as connection:
        return connection.execute(select(world.Ticket)).all()


@route
def test_write_without_a_tenant(session, world):
    engine = session.connection().engine
    session.close()
    with engine.connect() as connection:
        connection.execute(text("UPDATE tickets SET subject = 'overwritten'"))
        connection.execute(text("DELETE FROM comments"))
        connection.commit()


@route(dialect="postgresql")
def test_setting_reset(session, world):
    statements = (
        "RESET tenantry.tenant",
        "RESET ALL",
        "SET LOCAL tenantry.tenant = ''",
        "SET LOCAL tenantry.tenant TO DEFAULT",
    )
    return [each(session, [f"{s}; SELECT subject FROM tickets" for s in statements]), *_after(session, statements)]


def _after(session, statements):
    return [attempts(session, [lambda s=s: _set_and_read(session, s)]) for s in statements]


def _set_and_read(session, statement):
    session.execute(text(statement))
    seen = session.execute(SUBJECTS).all()
    session.rollback()
    return seen


@route(dialect="postgresql")
def test_setting_of_all_tenants(session, world):
    values = ("*", "%", "' OR true --", "00000000-0000-0000-0000-000000000000")
    return attempts(session, [lambda v=v: _configure_and_read(session, v) for v in values])


def _configure_and_read(session, value):
    session.execute(text("SELECT set_config('tenantry.tenant', :value, true)"), {"value": value})
    return session.execute(SUBJECTS).all()


@route(dialect="postgresql")
def test_discard_all(session, world):
    session.rollback()
    attempts(session, [lambda: world.driver(session, "COMMIT"), lambda: world.driver(session, "DISCARD ALL")])
    return attempts(session, [lambda: world.driver(session, "SELECT subject FROM tickets")])


@route(dialect="postgresql")
def test_setting_left_for_the_next_session(session, world):
    attempts(session, [lambda: session.execute(text(f"SET tenantry.tenant = '{world.b.id}'"))])
    attempts(session, [session.commit])
    session.close()
    return _next_sessions(world)


@route(dialect="postgresql")
def test_setting_left_by_set_config(session, world):
    session.execute(text("SELECT set_config('tenantry.tenant', :tenant, false)"), {"tenant": str(world.b.id)})
    session.commit()
    session.close()
    return _next_sessions(world)


@route(dialect="postgresql")
def test_setting_left_for_a_connection_without_a_tenant(session, world):
    engine = session.connection().engine
    session.execute(text("SELECT set_config('tenantry.tenant', :tenant, false)"), {"tenant": str(world.b.id)})
    session.commit()
    session.close()
    with engine.connect() as connection:
        return connection.execute(SUBJECTS).all()


@route(dialect="postgresql")
def test_search_path_left_for_the_next_session(session, world):
    schema = world.spellings("tickets")[0].rpartition(".")[0]
    attempts(session, [lambda: session.execute(text(f"SET search_path = {schema}")), session.commit])
    session.close()
    return _next_sessions(world)


@route
def test_connection_left_inside_a_transaction(session, world):
    attempts(session, [lambda: world.driver(session, "UPDATE invoices SET memo = memo")])
    session.close()
    return _next_sessions(world)


@route
def test_session_dropped_without_closing(session, world):
    leftover = world.ground.session(world.a) if world.place.synchronous else None
    if leftover is not None:
        leftover.__enter__().execute(SUBJECTS)
        leftover.__exit__(None, None, None)
    return _next_sessions(world)


@route(dialect="postgresql")
def test_connection_that_waited_inside_a_transaction(session, world):
    """SQLAlchemy can put a connection of a cancelled task back while a transaction is open on it."""
    driver = session.connection().connection.driver_connection
    session.close()
    world.beneath(driver, "BEGIN")
    (left,) = world.beneath(driver, "SELECT txid_current()")
    with world.borrow(world.a) as following:
        found = following.scalar(text("SELECT txid_current()"))
    return [Leak("the next session works inside another's transaction")] if found == left[0] else None
