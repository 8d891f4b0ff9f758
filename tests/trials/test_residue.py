"""What a statement leaves on a connection is gone before the next borrower, however it was sent and ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from .doors import POSTGRES_DOORS, Opened, opened
from .installations import PostgresInstallation

# What to plant, and a question that counts what is left of it.
KINDS = {
    "temporary table": (
        "create temp table tickets_copy (n int)",
        "select count(*) from pg_class where relnamespace = pg_my_temp_schema()",
    ),
    "setting": (
        "set my.word = 'left'",
        "select count(*) where coalesce(current_setting('my.word', true), '') <> ''",
    ),
    "tenant setting": (
        "set tenantry.tenant = '00000000-0000-7000-8000-000000000000'",
        "select count(*) from pg_settings where name = 'tenantry.tenant' and reset_val <> ''",
    ),
    "setting by function": (
        "select set_config('my.word', 'left', false)",
        "select count(*) where coalesce(current_setting('my.word', true), '') <> ''",
    ),
    "setting by a function of the application": (
        "select public.remember('left')",
        "select count(*) where coalesce(current_setting('my.word', true), '') <> ''",
    ),
    "listening": ("listen news", "select count(*) from pg_listening_channels()"),
    "advisory lock": (
        "select pg_advisory_lock(7)",
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    "setting by a function named like a harmless one": (
        "select public . lower ('left', 1)",
        "select count(*) where coalesce(current_setting('my.word', true), '') <> ''",
    ),
    "setting behind a comment": (
        "select public.remember/* no call? */('left')",
        "select count(*) where coalesce(current_setting('my.word', true), '') <> ''",
    ),
    "advisory lock by a function of the application": (
        "select count(*) from (select public.hold(7)) as held",
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    "prepared statement": (
        "prepare mine as select 1",
        "select count(*) from pg_prepared_statements where name = 'mine'",
    ),
    "held cursor": (
        "declare held cursor with hold for select 1",
        "select count(*) from pg_cursors where is_holdable",
    ),
}
FUNCTIONS = """
create function public.remember(word text) returns text language sql as $$ select set_config('my.word', word, false) $$;
create function public.lower(word text, n int) returns text language sql as $$ select public.remember(word) $$;
create function public.hold(key int) returns void language plpgsql as $$ begin perform pg_advisory_lock(key); end $$;
"""


def by_text(door: Opened, session: Session, statement: str) -> None:
    session.execute(text(statement))


def by_driver(door: Opened, session: Session, statement: str) -> None:
    session.execute(text("select 1"))  # so that the transaction has begun
    door.drive(session, statement)


ROUTES: dict[str, Callable[[Opened, Session, str], None]] = {"text": by_text, "driver": by_driver}
ENDS: dict[str, Callable[[Session], None]] = {"commit": Session.commit, "rollback": Session.rollback}


@pytest.fixture(scope="module")
def site(postgres: Any) -> Iterator[PostgresInstallation]:
    installation = PostgresInstallation(postgres)
    installation.fill("alder", "birch")
    with installation.server.admin(installation.database) as connection:
        connection.execute(FUNCTIONS)
    yield installation
    installation.close()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("door", POSTGRES_DOORS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "prepared statement"])
def test_nothing_is_left_for_the_next_borrower(
    site: PostgresInstallation, door: str, kind: str, route: str, end: str
) -> None:
    statement, question = KINDS[kind]
    with opened(site, door) as own:

        def plant(session: Session) -> int:
            backend = session.execute(text("select pg_backend_pid()")).scalar_one()
            session.rollback()
            with contextlib.suppress(DBAPIError, Exception if route == "driver" else DBAPIError):
                ROUTES[route](own, session, statement)
                ENDS[end](session)
            return int(backend)

        def look(session: Session) -> tuple[int, int, set[str]]:
            backend = session.execute(text("select pg_backend_pid()")).scalar_one()
            left = session.execute(text(question)).scalar_one()
            subjects = set(session.execute(text("select subject from tickets")).scalars())
            return int(backend), int(left), {subject.partition("/")[0] for subject in subjects}

        before = own.run("alder", plant)
        backend, left, seen = own.run("birch", look)
    # Of what a connection heard the driver knows too, so it is not lent again; every other is.
    assert (backend == before) is (kind != "listening")
    assert left == 0
    assert seen == {"birch"}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("door", POSTGRES_DOORS)
def test_a_prepared_statement_is_gone_with_its_connection(
    site: PostgresInstallation, door: str, route: str, end: str
) -> None:
    """No sweep removes it without the driver's own prepared statements, so the connection is not lent again."""
    with opened(site, door) as own:

        def prepare(session: Session) -> None:
            ROUTES[route](own, session, "prepare mine as select subject from tickets")
            ENDS[end](session)

        def look(session: Session) -> int:
            question = "select count(*) from pg_prepared_statements where name = 'mine'"
            return int(session.execute(text(question)).scalar_one())

        own.run("alder", prepare)
        assert own.run("birch", look) == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tenant setting"])
def test_plain_sqlalchemy_leaves_it(site: PostgresInstallation, kind: str) -> None:
    """The control: each kind is there for the next borrower of a plain pool, and the question finds it."""
    statement, question = KINDS[kind]
    url = make_url(site.owner_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, pool_size=1, max_overflow=0)
    with Session(engine) as session:
        session.execute(text(statement))
        session.commit()
    with Session(engine) as session:
        assert session.execute(text(question)).scalar_one() > 0
    engine.dispose()
