"""What one session leaves on the connection for the next: SQLAlchemy's return to the pool only rolls back."""

from __future__ import annotations

from contextlib import ExitStack

from sqlalchemy import text

from .probes import attempts
from .suite import Leak, route


def _leave(session, *statements):
    """Sends the statements, keeps what they did, and gives the connection back."""
    for statement in statements:
        attempts(session, [lambda s=statement: session.execute(text(s)), session.commit])
    session.close()


def _found(world, statement):
    """Evidence if *statement* gives a row to any of the next borrowers of either tenant, several at once."""
    seen = []
    with ExitStack() as stack:
        borrowers = [stack.enter_context(world.borrow(side)) for side in (world.b, world.a, world.b)]
        for borrower in borrowers:
            seen += attempts(borrower, [lambda b=borrower: _rows(b, statement)])
    return seen


def _rows(borrower, statement):
    return [Leak(f"left behind: {row}") for row in borrower.execute(text(statement)).all()]


@route(dialect="postgresql")
def test_temporary_table_that_shadows(session, world):
    _leave(session, "CREATE TEMP TABLE tickets AS SELECT 'fake' AS subject")
    return _found(world, "SELECT 1 FROM pg_class WHERE oid = to_regclass('pg_temp.tickets')")


@route(dialect="postgresql")
def test_temporary_view_that_shadows(session, world):
    _leave(session, "CREATE TEMP VIEW agents AS SELECT 'fake' AS note")
    return _found(world, "SELECT 1 FROM pg_class WHERE oid = to_regclass('pg_temp.agents')")


@route(dialect="postgresql")
def test_temporary_sequence_and_function(session, world):
    _leave(session, "CREATE TEMP SEQUENCE leak_sequence", "CREATE FUNCTION pg_temp.now() RETURNS int RETURN 1")
    return _found(world, "SELECT 1 FROM pg_class WHERE oid = to_regclass('pg_temp.leak_sequence')")


@route(dialect="postgresql")
def test_setting(session, world):
    _leave(session, "SET DateStyle = 'German'")
    return _found(world, "SELECT 1 WHERE current_setting('DateStyle') LIKE 'German%'")


@route(dialect="postgresql")
def test_custom_setting_with_a_secret(session, world):
    _leave(session, f"SET leak.secret = '{world.a.canary}'")
    return _found(world, "SELECT 1 WHERE current_setting('leak.secret', true) LIKE 'canary%'")


@route(dialect="postgresql")
def test_setting_by_a_disguised_function(session, world):
    """The name of set_config need not stand in the statement in letters that a reader recognises."""
    _leave(session, f"""SELECT U&"set\\005fconfig"('leak.disguised', '{world.a.canary}', false)""")
    return _found(world, "SELECT 1 WHERE current_setting('leak.disguised', true) LIKE 'canary%'")


@route(dialect="postgresql")
def test_setting_by_a_function_that_runs_queries(session, world):
    query = f"SELECT ts_stat('SELECT set' || '_config(''leak.inner'', ''{world.a.canary}'', false)::tsvector')"
    _leave(session, query)
    return _found(world, "SELECT 1 WHERE current_setting('leak.inner', true) LIKE 'canary%'")


@route(dialect="postgresql")
def test_search_path(session, world):
    _leave(session, "SET search_path = pg_catalog")
    return _found(world, "SELECT 1 WHERE current_setting('search_path') = 'pg_catalog'")


@route(dialect="postgresql")
def test_statement_timeout(session, world):
    _leave(session, "SET statement_timeout = '77s'")
    return _found(world, "SELECT 1 WHERE current_setting('statement_timeout') = '77s'")


@route(dialect="postgresql")
def test_plan_settings(session, world):
    _leave(session, "SET plan_cache_mode = force_generic_plan", "SET default_transaction_read_only = on")
    return _found(world, "SELECT 1 WHERE current_setting('default_transaction_read_only') = 'on'")


@route(dialect="postgresql")
def test_listening(session, world):
    _leave(session, "LISTEN leak_channel")
    return _found(world, "SELECT * FROM pg_listening_channels()")


@route(dialect="postgresql")
def test_notification_heard_by_the_next(session, world):
    _leave(session, "LISTEN leak_shouts")
    with world.borrow(world.b) as other:
        other.execute(text("SELECT pg_notify('leak_shouts', 'secret')"))
        other.commit()
    return _found(world, "SELECT 1 FROM pg_listening_channels() c WHERE c = 'leak_shouts'")


@route(dialect="postgresql", doors="sync")
def test_notification_kept_by_the_driver(session, world):
    """What came while the connection listened waits with the driver, where no statement sweeps."""
    for statement in ("LISTEN leak_kept", "COMMIT"):
        attempts(session, [lambda s=statement: session.execute(text(s))])
    with world.borrow(world.a) as other:
        other.execute(text("SELECT pg_notify('leak_kept', 'secret')"))
        other.commit()
    attempts(session, [lambda: session.execute(text("SELECT 1"))])
    session.close()
    with ExitStack() as stack:
        borrowers = [stack.enter_context(world.borrow(side)) for side in (world.b, world.a, world.b)]
        drivers = [borrower.connection().connection.driver_connection for borrower in borrowers]
        return [Leak(f"heard: {heard}") for driver in drivers for heard in driver.notifies(timeout=0)]


@route(dialect="postgresql")
def test_advisory_lock(session, world):
    _leave(session, "SELECT pg_advisory_lock(424242)")
    return _found(world, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 424242")


@route(dialect="postgresql")
def test_shared_advisory_lock(session, world):
    _leave(session, "SELECT pg_advisory_lock_shared(434343)", "SELECT pg_advisory_lock_shared(434343)")
    return _found(world, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 434343")


@route(dialect="postgresql")
def test_held_cursor(session, world):
    _leave(session, "DECLARE leak_cursor CURSOR WITH HOLD FOR SELECT subject FROM tickets")
    return [
        _found(world, "SELECT 1 FROM pg_cursors WHERE name = 'leak_cursor'"),
        _found(world, "FETCH ALL leak_cursor"),
    ]


@route(dialect="postgresql")
def test_prepared_statement(session, world):
    _leave(session, f"PREPARE leak_prepared AS SELECT '{world.a.canary}'::text, subject FROM tickets")
    return _found(world, "SELECT statement FROM pg_prepared_statements WHERE name = 'leak_prepared'")


@route(dialect="postgresql")
def test_prepared_statement_executed_by_the_next(session, world):
    _leave(session, "PREPARE leak_executed AS SELECT subject FROM tickets")
    return _found(world, "EXECUTE leak_executed")


@route(dialect="postgresql")
def test_prepared_statement_in_a_block(session, world):
    """A block puts its words together as it runs, where no reader of statements sees them."""
    block = "DO $$BEGIN EXECUTE 'PREP' || 'ARE leak_hidden AS SELECT ''%s''::text'; END$$"
    _leave(session, f"/* */{block % world.a.canary}")
    return _found(world, "SELECT statement FROM pg_prepared_statements WHERE name = 'leak_hidden'")


@route(dialect="postgresql")
def test_seed_of_random(session, world):
    """No RESET and no DISCARD reaches it, and what the next tenant draws would be known."""
    drawn = []
    for _ in range(2):
        _leave(session, "SELECT setseed(0.25)")
        with world.borrow(world.b) as other:
            drawn.append(other.execute(text("SELECT random()")).scalar_one())
    return [Leak(f"drawn twice: {drawn[0]}")] if drawn[0] == drawn[1] else None


@route(dialect="postgresql")
def test_role(session, world):
    _leave(session, "SET ROLE pg_monitor", "SET SESSION AUTHORIZATION pg_monitor")
    return _found(world, "SELECT 1 WHERE current_user = 'pg_monitor'")


@route(dialect="postgresql")
def test_character_of_the_transaction(session, world):
    _leave(session, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    return _found(world, "SELECT 1 WHERE current_setting('default_transaction_isolation') = 'serializable'")


@route(dialect="postgresql")
def test_left_by_the_driver_inside_a_transaction(session, world):
    for statement in ("COMMIT", "SET leak.driver = 'left'", "LISTEN leak_driver", "COMMIT"):
        attempts(session, [lambda s=statement: world.driver(session, s)])
    session.close()
    found = "SELECT 1 WHERE current_setting('leak.driver', true) = 'left'"
    return [_found(world, found), _found(world, "SELECT * FROM pg_listening_channels()")]


@route(dialect="sqlite")
def test_temporary_table_in_sqlite(session, world):
    _leave(session, "CREATE TEMP TABLE leak_scratch AS SELECT subject FROM tickets")
    return _found(world, "SELECT 1 FROM temp.leak_scratch")


@route(dialect="sqlite")
def test_temporary_view_that_shadows_in_sqlite(session, world):
    _leave(session, "CREATE TEMP VIEW invoices AS SELECT 'fake' AS memo")
    return _found(world, "SELECT 1 FROM temp.invoices WHERE memo = 'fake'")


@route(dialect="sqlite")
def test_pragma(session, world):
    _leave(session, "PRAGMA query_only = ON")
    return _found(world, "SELECT 1 FROM pragma_query_only WHERE query_only = 1")


@route(dialect="sqlite")
def test_temporary_trigger(session, world):
    trigger = "CREATE TEMP TRIGGER leak_trigger AFTER INSERT ON main.tags BEGIN SELECT RAISE(ABORT, 'planted'); END"
    _leave(session, trigger)
    return _found(world, "SELECT 1 FROM sqlite_temp_master WHERE name = 'leak_trigger'")


@route(dialect="sqlite")
def test_count_of_what_others_changed(session, world):
    """SQLite counts for as long as a connection lives, whoever borrows it; a tenant's own file counts its own."""
    session.close()
    before = _counted(world)
    with world.borrow(world.b, writes=True) as other:
        other.execute(text("UPDATE tickets SET number = number"))
        other.commit()
    after = _counted(world)
    grown = [now - count for driver, count in before for again, now in after if again is driver]
    return [Leak(f"{rows} rows were changed") for rows in grown if rows]


def _counted(world):
    """Some connections, and what each counts for tenant A."""
    with ExitStack() as stack:
        borrowers = [stack.enter_context(world.reading(world.a)) for _ in range(3)]
        counts = [(_driver(borrower), *attempts(borrower, [lambda b=borrower: _total(b)])) for borrower in borrowers]
    return [(driver, count) for driver, count in counts if isinstance(count, int)]


def _driver(borrower):
    return borrower.connection().connection.driver_connection


def _total(borrower):
    return borrower.execute(text("SELECT total_changes()")).scalar_one()


@route(dialect="postgresql", harmless="the control binds nothing, so it can leave nothing bound")
def test_binding_after_its_transaction(session, world):
    """Looks at the connection in the pool without a tenant of its own: one that sets its own covers the trace."""
    driver = session.connection().connection.driver_connection
    session.execute(text("SELECT subject FROM tickets"))
    session.commit()
    settings = "current_setting('tenantry.tenant', true), current_setting('search_path')"
    tenant, path = world.beneath(driver, f"SELECT {settings}")[0]
    return [Leak(f"left behind: {tenant}")] if tenant else [Leak(f"left behind: {path}")] if "t_" in path else None
