"""Whatever a program does with transactions, each statement runs as its session's tenant or not at all."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from tenantry import errors
from tenantry.settings import Config

from .doors import POSTGRES_DOORS, Opened, opened
from .installations import Installation, PostgresInstallation, SqliteInstallation
from .models import Ticket

SLUGS = ("alder", "birch", "cedar-schema")
WHO = text("select current_setting('tenantry.tenant')")
SUBJECTS = text("select subject from tickets")

ACTIONS = (
    *("read", "read", "write", "savepoint", "savepoint", "release", "revert", "revert"),
    *("commit", "rollback", "fail", "switch", "switch", "set inside"),
)
step = st.tuples(st.sampled_from(ACTIONS), st.integers(0, len(SLUGS) - 1))


class Walk:
    """Sessions of several tenants, one at a time in hand, and the savepoints that each has open."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self.sessions = sessions
        self.savepoints: dict[str, list[SessionTransaction]] = {slug: [] for slug in sessions}
        self.slug = SLUGS[0]
        self.steps = 0

    def take(self, action: str, which: int) -> None:
        self.steps += 1
        {
            "read": self.read,
            "write": self.write,
            "savepoint": self.savepoint,
            "release": self.release,
            "revert": self.revert,
            "commit": lambda: self.end(self.session.commit),
            "rollback": lambda: self.end(self.session.rollback),
            "fail": self.fail,
            "set inside": self.set_inside,
            "switch": lambda: setattr(self, "slug", SLUGS[which]),
        }[action]()
        self.check()

    @property
    def session(self) -> Session:
        return self.sessions[self.slug]

    def read(self) -> None:
        self.session.scalars(select(Ticket)).all()

    def write(self) -> None:
        self.session.add(Ticket(subject=f"{self.slug}/more"))
        self.session.flush()

    def savepoint(self) -> None:
        self.savepoints[self.slug].append(self.session.begin_nested())

    def release(self) -> None:
        if self.savepoints[self.slug]:
            self.savepoints[self.slug].pop().commit()

    def revert(self) -> None:
        if self.savepoints[self.slug]:
            self.savepoints[self.slug].pop().rollback()

    def end(self, how: Any) -> None:
        self.savepoints[self.slug].clear()
        how()

    def fail(self) -> None:
        with pytest.raises(SQLAlchemyError), self.session.begin_nested():
            self.session.execute(text("select 1/0"))

    def set_inside(self) -> None:
        """A savepoint that is rolled back takes its settings along; one of the application's own, here."""
        with contextlib.suppress(RuntimeError), self.session.begin_nested():
            self.session.execute(text("set local my.word = 'inside'"))
            raise RuntimeError("revert")

    def check(self) -> None:
        """Every session still speaks as its tenant, whatever the one in hand has just done."""
        for slug, session in self.sessions.items():
            if session.in_transaction() or slug == self.slug:
                assert session.execute(WHO).scalar_one() == str(session.info["tenant"].id)
                seen = {subject.partition("/")[0] for subject in session.execute(SUBJECTS).scalars()}
                assert seen == {slug}


def walk(door: Opened, steps: list[tuple[str, int]], slugs: tuple[str, ...] = SLUGS) -> int:
    """Takes *steps* with a session of each tenant open; they share a pool with fewer connections than sessions."""
    sessions: dict[str, Session] = {}

    def open_next(session: Session) -> int:
        sessions[slugs[len(sessions)]] = session
        if len(sessions) < len(slugs):
            return nested(slugs[len(sessions)])
        walked = Walk(sessions)
        for action, which in steps:
            walked.take(action, which)
        for each in sessions.values():
            each.rollback()
        return walked.steps

    def nested(slug: str) -> int:
        with door.tenancy.session(slug) as session:
            return open_next(session)

    return nested(slugs[0])


@pytest.fixture(scope="module")
def grove(postgres: Any) -> Iterator[PostgresInstallation]:
    """Two tenants in common tables and one with a schema."""
    installation = PostgresInstallation(postgres)
    installation.fill("alder", "birch")
    installation.fill("cedar-schema", isolation="schema")
    yield installation
    installation.close()


def check_walks(grove: PostgresInstallation, *, walks: int, at_least: int) -> None:
    taken = []

    @settings(max_examples=walks, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(step, min_size=5, max_size=30))
    def each(steps: list[tuple[str, int]]) -> None:
        taken.append(walk(door, steps))

    with opened(grove, "sync", pool_size=3) as door:
        each()
    print(f"\n{sum(taken)} steps in {len(taken)} walks")
    assert sum(taken) >= at_least


def test_two_hundred_steps_keep_the_context(grove: PostgresInstallation) -> None:
    check_walks(grove, walks=30, at_least=200)


@pytest.mark.soak
def test_a_thousand_steps_keep_the_context(grove: PostgresInstallation) -> None:
    check_walks(grove, walks=300, at_least=1_000)


def random_walk(session: Session, *, steps: int) -> int:
    """Walks at random with one session, which the async doors can give too."""
    walked, dice = Walk({SLUGS[0]: session}), random.Random(17)
    for _ in range(steps):
        action = dice.choice([action for action in ACTIONS if action != "switch"])
        walked.take(action, 0)
    session.rollback()
    return walked.steps


@pytest.mark.parametrize("door", POSTGRES_DOORS)
def test_every_driver_keeps_the_context(grove: PostgresInstallation, door: str) -> None:
    with opened(grove, door) as own:
        assert own.run(SLUGS[0], lambda session: random_walk(session, steps=100)) == 100


ENDINGS = ("COMMIT", "ROLLBACK", "commit and chain", "ROLLBACK; BEGIN", "END", "ABORT", "/* */ commit")
# PostgreSQL begins again at once in these; what follows then runs in a transaction without a tenant, and must fail too.
CHAINED = ("commit and chain", "ROLLBACK; BEGIN")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("door", POSTGRES_DOORS)
def test_what_follows_a_transaction_ended_by_text_is_not_run(
    grove: PostgresInstallation, door: str, ending: str
) -> None:
    with opened(grove, door) as own:

        def end_by_text(session: Session) -> None:
            session.execute(SUBJECTS)
            session.execute(text(ending))
            session.execute(
                text(
                    "insert into tickets (tenant_id, id, subject, n) select gen_random_uuid(), "
                    "gen_random_uuid(), 'unbound', 0"
                )
            )

        def look(session: Session) -> set[str]:
            assert session.execute(WHO).scalar_one() == str(session.info["tenant"].id)
            return {subject.partition("/")[0] for subject in session.execute(SUBJECTS).scalars()}

        with pytest.raises((errors.ContextLost, SQLAlchemyError)) as refused:
            own.run("alder", end_by_text)
        if ending not in CHAINED and not (door == "async-asyncpg" and ";" in ending):
            assert isinstance(refused.value, errors.ContextLost)
            assert refused.value.tenant is not None
        assert own.run("birch", look) == {"birch"}


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK", "END"])
@pytest.mark.parametrize("door", ["sync", "async"])
@pytest.mark.parametrize("isolation", ["rows", "database"])
def test_what_follows_a_transaction_ended_by_text_is_not_run_on_sqlite(
    directory: SqliteInstallation, door: str, isolation: str, ending: str
) -> None:
    directory.fill("alder", "birch", isolation=isolation)
    check_lost_on_sqlite(directory, door, ending)


def check_lost_on_sqlite(directory: Installation, door: str, ending: str) -> None:
    def end_by_text(session: Session) -> None:
        session.execute(SUBJECTS)
        session.execute(text(ending))
        session.execute(SUBJECTS)

    with opened(directory, door) as own:
        with pytest.raises(errors.ContextLost) as refused:
            own.run("alder", end_by_text)
        assert refused.value.tenant == own.tenancy.tenants.get("alder").id
        seen = own.run("birch", lambda session: set(session.execute(SUBJECTS).scalars()))
        assert {subject.partition("/")[0] for subject in seen} == {"birch"}


def test_a_session_without_a_tenant_sends_nothing(grove: PostgresInstallation) -> None:
    tenancy = grove.tenancy(config=Config(pool_size=1))
    engine = tenancy.router.route("alder").engine()
    with engine.connect() as connection, pytest.raises((errors.TenantRequired, SQLAlchemyError)):
        connection.execute(text("select subject from public.tickets"))
    tenancy.close()
