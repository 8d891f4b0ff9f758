"""A migration killed anywhere leaves its home old or new, and the next run goes on from there."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Program

from tenantry import errors
from tenantry.fleet import Pace
from tenantry.fleet.homes import Home, HomeKind

from .worlds import MIGRATIONS, TICKETS, PostgresWorld, World, migrations_with, own_kinds

PROGRAM = Path(__file__).parent / "migrating.py"
PACE = Pace(lock_timeout=10.0)
_INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
_CONCURRENTLY = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%%' AND datname = %s"


class Crash(Program):
    """The program that has itself killed."""

    def run(self, job: dict[str, Any]) -> tuple[int, int]:
        """Returns how a child of the program ended, and how many steps it was told of."""
        ended = self.ask(job)
        return ended["status"], ended.get("heard", 0)


@pytest.fixture(scope="module")
def program() -> Iterator[Crash]:
    started = Crash(PROGRAM)
    yield started
    started.close()


def job(world: World, home: Home, target: str, *, at: int, one_by_one: bool, migrations: Path) -> dict[str, Any]:
    return {
        **world.place,
        "migrations": str(migrations),
        "kind": home.kind,
        "physical": home.physical,
        "tenant": str(home.tenant or ""),
        "slug": home.slug,
        "target": target,
        "at": at,
        "one_by_one": one_by_one,
    }


@pytest.mark.mainly("replayed")
@pytest.mark.parametrize("itself", [False, True], ids=["replayed", "by alembic"])
def test_killed_before_any_statement_the_home_is_old_or_new(
    world: World, program: Crash, tmp_path: Path, itself: bool
) -> None:
    body = "replay = False\n\n\ndef upgrade() -> None:\n    pass\n" if itself else "def upgrade() -> None:\n    pass\n"
    migrations = migrations_with(tmp_path / "migrations", before="b2", e5=body)
    # The two kinds on PostgreSQL differ by their connection alone.
    for kind in own_kinds(world)[:1]:
        home, deaths = world.home(kind), 0
        for at in range(1, 200, 3 if itself else 1):
            status, heard = program.run(job(world, home, "e5", at=at, one_by_one=True, migrations=migrations))
            if status == 0:
                break
            assert (status, heard) == (-signal.SIGKILL, at)
            deaths += 1
            assert state(world, home) == ("a1", False, TICKETS)
        # Each statement of both revisions, and what comes before and after them.
        assert deaths >= 8
        assert state(world, home) == ("e5", True, TICKETS)


def test_killed_before_the_message_that_does_it_all(world: World, program: Crash) -> None:
    for kind in own_kinds(world):
        home, ends = world.home(kind), []
        for at in range(1, 10):
            status, _ = program.run(job(world, home, "b2", at=at, one_by_one=False, migrations=MIGRATIONS))
            ends.append((status, state(world, home)))
            if status == 0:
                break
        assert len(ends) > 2
        assert set(ends[:-1]) == {(-signal.SIGKILL, ("a1", False, TICKETS))}
        assert ends[-1] == (0, ("b2", True, TICKETS))


def state(world: World, home: Home) -> tuple[str | None, bool, int]:
    """Returns a home's revision, whether b2 is there, whole or not at all, and how many tickets there are."""
    notes, status = bool(world.columns(home, "notes")), "status" in world.columns(home, "tickets")
    assert notes == status, "half a revision"
    return world.revision(home), notes, world.count(home, "tickets")


def test_killed_at_every_step_around_an_index_made_concurrently(on_postgres: PostgresWorld, program: Crash) -> None:
    for at in range(1, 30):
        home = on_postgres.home(HomeKind.SCHEMA)
        status, _ = program.run(job(on_postgres, home, "d4", at=at, one_by_one=False, migrations=MIGRATIONS))
        on_postgres.history().apply(home, "d4", pace=PACE)
        check_index(on_postgres, home)
        if status == 0:
            break
    assert at > 6


def test_an_index_that_was_cut_off_is_made_again(on_postgres: PostgresWorld, program: Crash) -> None:
    """The server itself ends the statement: an index remains that nobody can use."""
    home = on_postgres.home(HomeKind.SCHEMA)
    on_postgres.history().apply(home, "c3", pace=PACE)
    with on_postgres.admin(home) as reader, on_postgres.admin(home) as admin:
        # It waits for whoever may still look at the table as it was.
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tickets")
        with under_way(on_postgres, home) as running:
            pid = waiting_for(lambda: admin.execute(_CONCURRENTLY, [on_postgres.database]).fetchone())[0]
            waiting_for(lambda: admin.execute(_INVALID).fetchone() == (1,))
            running.kill()
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        reader.execute("COMMIT")
        assert admin.execute(_INVALID).fetchone() == (1,)
    assert on_postgres.revision(home) == "c3"
    assert on_postgres.history().apply(home, "d4", pace=PACE).steps == ["d4"]
    check_index(on_postgres, home)


def test_an_index_that_the_server_finished_alone_is_kept(on_postgres: PostgresWorld) -> None:
    """The client is killed, the server carries on: meanwhile the home is busy, and then it has its index."""
    home = on_postgres.home(HomeKind.SCHEMA)
    on_postgres.history().apply(home, "c3", pace=PACE)
    with on_postgres.admin(home) as reader, on_postgres.admin(home) as admin:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tickets")
        with under_way(on_postgres, home) as running:
            waiting_for(lambda: admin.execute(_INVALID).fetchone() == (1,))
            running.kill()
        with pytest.raises(errors.HomeBusy):
            on_postgres.history().apply(home, "d4", pace=Pace(lock_timeout=0.2))
        made = index_number(admin)
        reader.execute("COMMIT")
        waiting_for(lambda: admin.execute(_INVALID).fetchone() == (0,))
        assert on_postgres.history().apply(home, "d4", pace=PACE).steps == ["d4"]
        assert index_number(admin) == made
    check_index(on_postgres, home)


def test_a_concurrent_index_that_cannot_be_made_leaves_none_behind(on_postgres: PostgresWorld, tmp_path: Path) -> None:
    body = """
def upgrade() -> None:
    op.add_column("tickets", sa.Column("mark", sa.Integer(), server_default="1"))
    with op.get_context().autocommit_block():
        op.create_index("uq_tickets_mark", "tickets", ["mark"], unique=True, postgresql_concurrently=True)
    op.add_column("tickets", sa.Column("after", sa.Integer()))
"""
    history, home = (
        on_postgres.history(migrations_with(tmp_path / "unique", e5=body)),
        on_postgres.home(HomeKind.SCHEMA),
    )
    for _ in range(2):
        with pytest.raises(errors.MigrationFailed) as caught:
            history.apply(home, "e5", pace=PACE)
        assert caught.value.step == "e5"
        assert (on_postgres.revision(home), on_postgres.columns(home, "tickets") >= {"mark"}) == ("d4", True)
        with on_postgres.admin(home) as admin:
            assert admin.execute(_INVALID).fetchone() == (0,)
    with on_postgres.admin(home) as admin:
        # What stands before the index was done once, and is not done again.
        admin.execute("UPDATE tickets SET mark = number")
    assert history.apply(home, "e5", pace=PACE).steps == ["e5"]
    assert on_postgres.columns(home, "tickets") >= {"mark", "after"}
    assert history.apply(home, "e5", pace=PACE).steps == ()


@contextlib.contextmanager
def under_way(world: PostgresWorld, home: Home) -> Iterator[subprocess.Popen[str]]:
    """Lends a process of its own that brings a home to d4, until it is killed."""
    running = subprocess.Popen([sys.executable, PROGRAM, "--once"], stdin=subprocess.PIPE, text=True)
    assert running.stdin is not None
    running.stdin.write(json.dumps(job(world, home, "d4", at=0, one_by_one=False, migrations=MIGRATIONS)) + "\n")
    running.stdin.flush()
    try:
        yield running
    finally:
        running.kill()
        running.communicate(timeout=30)


def waiting_for(look: Any) -> Any:
    """Returns what *look* finds, when it does."""
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def index_number(admin: Any) -> int:
    (number,) = admin.execute("SELECT 'ix_tickets_subject'::regclass::oid").fetchone()
    return int(number)


def check_index(world: PostgresWorld, home: Home) -> None:
    """The home is at d4 with a whole index, and nothing is noted of a revision under way."""
    assert world.revision(home) == "d4"
    with world.admin(home) as admin:
        assert admin.execute(_INVALID).fetchone() == (0,)
        assert index_number(admin)
        assert admin.execute("SELECT obj_description('alembic_version'::regclass, 'pg_class')").fetchone() == (None,)
