"""Becoming somebody else, or changing the walls: what the login of the application must not be able to do."""

from __future__ import annotations

from sqlalchemy import text

from .probes import attempts, each
from .suite import Leak, route

SUBJECTS = text("SELECT subject FROM tickets")
SYSTEM_ROLES = ("postgres", "pg_read_all_data", "pg_write_all_data", "pg_database_owner")


def _roles(world):
    return (*world.ground.roles, *SYSTEM_ROLES)


def _try_then_read(session, statements):
    """Reads after each statement in the same transaction, whether the statement was refused or not."""
    return [
        attempts(session, [lambda s=s: session.execute(text(s)), lambda: session.execute(SUBJECTS).all()])
        for s in statements
    ]


@route(dialect="postgresql")
def test_set_role(session, world):
    return _try_then_read(session, [f"SET LOCAL ROLE {role}" for role in _roles(world)])


@route(dialect="postgresql")
def test_set_role_for_the_session(session, world):
    return _try_then_read(session, [f"SET ROLE {role}" for role in _roles(world)])


@route(dialect="postgresql")
def test_session_authorization(session, world):
    return _try_then_read(session, [f"SET SESSION AUTHORIZATION {role}" for role in _roles(world)])


@route(dialect="postgresql")
def test_reset_role(session, world):
    return _try_then_read(session, ["RESET ROLE", "SET ROLE NONE", "RESET SESSION AUTHORIZATION"])


@route(dialect="postgresql")
def test_role_by_set_config(session, world):
    return _try_then_read(session, [f"SELECT set_config('role', '{role}', true)" for role in _roles(world)])


@route(dialect="postgresql")
def test_row_security_off(session, world):
    return _try_then_read(session, ["SET LOCAL row_security = off", "SET row_security = off"])


@route(dialect="postgresql")
def test_replication_role(session, world):
    return _try_then_read(session, ["SET LOCAL session_replication_role = replica"])


@route(dialect="postgresql")
def test_membership_granted_to_itself(session, world):
    return _try_then_read(session, [f"GRANT {role} TO current_user" for role in _roles(world)])


@route(dialect="postgresql")
def test_login_altered(session, world):
    return _try_then_read(session, ["ALTER ROLE current_user SET search_path = public"])


@route(dialect="postgresql")
def test_wall_taken_down(session, world):
    names = world.spellings("tickets")
    statements = [
        f"ALTER TABLE {name} {change}"
        for name in ["tickets", *names]
        for change in ("DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY", "OWNER TO current_user")
    ]
    return _try_then_read(session, statements)


@route(dialect="postgresql")
def test_policy_dropped(session, world):
    statements = [
        f"DROP POLICY IF EXISTS tenantry_isolation ON {name}" for name in ["tickets", *world.spellings("tickets")]
    ]
    return _try_then_read(session, statements)


@route(dialect="postgresql")
def test_policy_added(session, world):
    return _try_then_read(
        session, [f"CREATE POLICY leak ON {name} USING (true)" for name in world.spellings("tickets")]
    )


@route(dialect="postgresql")
def test_rule_or_trigger_added(session, world):
    name, function = world.spellings("tickets")[0], "suppress_redundant_updates_trigger()"
    return _try_then_read(
        session,
        [
            f"CREATE RULE leak AS ON INSERT TO {name} DO ALSO NOTHING",
            f"CREATE TRIGGER leak BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION {function}",
        ],
    )


@route(dialect="postgresql")
def test_definer_function_made(session, world):
    body = "SELECT max(subject)::text FROM tickets"
    make = f"CREATE FUNCTION {{}}leak_made() RETURNS text LANGUAGE sql SECURITY DEFINER AS '{body}'"
    schemas = ["", "public.", "pg_temp."]
    return [
        attempts(
            session,
            [
                lambda s=s: session.execute(text(make.format(s))),
                lambda s=s: session.execute(text(f"SELECT {s}leak_made()")).all(),
            ],
        )
        for s in schemas
    ]


@route(dialect="postgresql")
def test_leaky_function_as_a_condition(session, world):
    make = (
        "CREATE FUNCTION public.leak_shout(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS"
        " $$ BEGIN IF $1 LIKE '%bravo%' THEN RAISE EXCEPTION '%', $1; END IF; RETURN true; END $$"
    )
    condition = f"SELECT 1 FROM tickets WHERE number >= {world.b.first_number} AND public.leak_shout(subject)"
    return attempts(session, [lambda: session.execute(text(make)), lambda: session.execute(text(condition)).all()])


@route(dialect="postgresql")
def test_leaky_builtin_as_a_condition(session, world):
    """The planner may run a cheap condition before the policy; only leakproof ones may see a foreign row."""
    conditions = ("subject::xml IS NOT NULL", "subject::json IS NOT NULL", "subject::int > 0", "subject::date > now()")
    return each(session, [f"SELECT 1 FROM tickets WHERE number >= {world.b.first_number} AND {c}" for c in conditions])


@route(dialect="postgresql")
def test_materialised_view_made(session, world):
    make = "CREATE MATERIALIZED VIEW public.leak_kept AS SELECT subject FROM tickets"
    return attempts(
        session, [lambda: session.execute(text(make)), lambda: session.execute(text("TABLE public.leak_kept")).all()]
    )


@route(dialect="postgresql")
def test_truncate(session, world):
    each(session, [f"TRUNCATE {name} CASCADE" for name in ["comments", *world.spellings("comments")]])


@route(dialect="postgresql")
def test_table_dropped_or_emptied_by_ddl(session, world):
    each(
        session,
        [
            f"ALTER TABLE {name} ALTER body TYPE text USING 'gone'"
            for name in ["comments", *world.spellings("comments")]
        ],
    )


@route(dialect="postgresql")
def test_locked_tables(session, world):
    names = ["tickets", *world.spellings("tickets")]
    return _try_then_read(session, [f"LOCK TABLE {name} IN SHARE MODE NOWAIT" for name in names])


@route(dialect="postgresql")
def test_large_objects(session, world):
    made = attempts(
        session,
        [
            lambda: session.scalar(text("SELECT lo_create(0)")),
            lambda: session.scalar(text("SELECT lo_from_bytea(0, 'x')")),
        ],
    )
    session.rollback()
    return [Leak("made a large object") for number in made if isinstance(number, int)]


@route(dialect="postgresql")
def test_files_of_the_server(session, world):
    statements = ("SELECT pg_read_file('PG_VERSION')", "SELECT lo_import('/etc/hostname')", "SELECT pg_ls_dir('.')")
    return [Leak("read the server's files") for seen in each(session, statements) if not isinstance(seen, str)]


@route(dialect="postgresql")
def test_extensions_that_reach_out(session, world):
    create = [f"CREATE EXTENSION IF NOT EXISTS {name}" for name in ("dblink", "postgres_fdw", "pageinspect")]
    seen = attempts(session, [lambda s=s: session.execute(text(s)) and None for s in create])
    session.rollback()
    return [Leak("made an extension") for refusal in seen if refusal is None]


@route(dialect="postgresql")
def test_anonymous_block(session, world):
    secret = f"SELECT max(subject) FROM tickets WHERE number >= {world.b.first_number}"
    return each(session, [f"DO $$ BEGIN RAISE EXCEPTION '%', ({secret}); END $$"])
