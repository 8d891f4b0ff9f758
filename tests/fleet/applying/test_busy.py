"""Homes that others are using: nobody waits for a migration longer than its lock timeout, and nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tenantry import errors
from tenantry.fleet import Pace
from tenantry.fleet.homes import HomeKind
from tenantry.isolation import fencing

from .models import New
from .worlds import MIGRATIONS, TICKETS, PostgresWorld, SqliteWorld, World, migrations_with, own_kinds

SHORT = Pace(lock_timeout=0.2)
PATIENT = Pace(lock_timeout=20.0)
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def test_a_long_reader_makes_the_home_busy_and_nobody_queues_behind(on_postgres: PostgresWorld) -> None:
    history, home = on_postgres.history(), on_postgres.home(HomeKind.SCHEMA)
    with on_postgres.admin(home) as reader, on_postgres.admin(home) as other:
        reader.execute("BEGIN; SELECT count(*) FROM tickets")
        with pytest.raises(errors.HomeBusy):
            history.apply(home, "b2", pace=SHORT)
        assert other.execute(_WAITING).fetchone() == (0,)
        other.execute("SET statement_timeout = '5s'")
        assert other.execute("SELECT count(*) FROM tickets").fetchone() == (TICKETS,)
        reader.execute("COMMIT")
    assert on_postgres.revision(home) == "a1"
    assert history.apply(home, "b2", pace=PATIENT).steps == ["b2"]


def test_a_home_that_another_migrates_is_busy(on_postgres: PostgresWorld) -> None:
    history, home = on_postgres.history(), on_postgres.home(HomeKind.SCHEMA)
    with contextlib.closing(on_postgres.connect(home)) as plain:
        # What the plain `alembic` command does, which takes no lock of ours.
        plain.execute("BEGIN")
        plain.execute("UPDATE alembic_version SET version_num = 'b2'")
        with pytest.raises(errors.HomeBusy):
            history.apply(home, "b2", pace=SHORT)
        plain.execute("ROLLBACK")
    assert history.apply(home, "b2", pace=SHORT).steps == ["b2"]


def test_two_at_once_apply_each_revision_once(world: World) -> None:
    history = world.history()
    for kind in own_kinds(world):
        home = world.home(kind)
        with ThreadPoolExecutor(4) as pool:
            applied = list(pool.map(lambda one: history.apply(one, "d4", pace=PATIENT), [home] * 4))
        assert sorted(len(one.steps) for one in applied) == [0, 0, 0, 3]
        assert world.revision(home) == "d4"


def test_a_file_that_is_being_written_is_busy(on_sqlite: SqliteWorld) -> None:
    history, home = on_sqlite.history(), on_sqlite.home(HomeKind.FILE)
    with contextlib.closing(on_sqlite.connect(home)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.HomeBusy):
            history.apply(home, "d4", pace=SHORT)
        writer.execute("COMMIT")
    assert history.apply(home, "d4", pace=SHORT).steps == ["b2", "c3", "d4"]


def test_an_open_reader_of_a_file_sees_old_or_new_and_nothing_is_lost(on_sqlite: SqliteWorld) -> None:
    history, home = on_sqlite.history(), on_sqlite.home(HomeKind.FILE)
    with contextlib.closing(on_sqlite.connect(home)) as reader, contextlib.closing(on_sqlite.connect(home)) as writer:
        reader.execute("BEGIN")
        assert seen(reader) == (TICKETS, False)
        history.apply(home, "d4", pace=PATIENT)
        assert seen(reader) == (TICKETS, False)
        # Written by a connection from before the migration, to the file as it is now.
        writer.execute("UPDATE tickets SET status = 'late' WHERE number = 19")
        assert seen(reader) == (TICKETS, False)
        reader.execute("COMMIT")
        assert seen(reader) == (TICKETS, True)
    with contextlib.closing(on_sqlite.connect(home)) as anew:
        assert anew.execute("SELECT count(*) FROM tickets WHERE status = 'late'").fetchone() == (1,)
        assert anew.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def seen(reader: sqlite3.Connection) -> tuple[int, bool]:
    """Returns how many tickets a reader sees, and whether they have a status."""
    (count,) = reader.execute("SELECT count(*) FROM tickets").fetchone()
    names = {name for (name,) in reader.execute("SELECT name FROM pragma_table_info('tickets')")}
    return count, "status" in names


def test_a_statement_over_its_time_fails_the_home(world: World, tmp_path: Path) -> None:
    slow = """
def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("SELECT pg_sleep(30)")
    else:
        op.execute("CREATE TABLE slow AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
                   "SELECT count(*) FROM n")
"""
    history = world.history(migrations_with(tmp_path / "slow", e5=slow))
    kind = HomeKind.SCHEMA if isinstance(world, PostgresWorld) else HomeKind.FILE
    home = world.home(kind)
    with pytest.raises(errors.MigrationFailed) as caught:
        history.apply(home, "e5", pace=Pace(lock_timeout=5.0, statement_timeout=0.5))
    assert caught.value.step == "e5"


def test_what_a_failure_tells_holds_no_rows(world: World, tmp_path: Path) -> None:
    body = """
def upgrade() -> None:
    with op.batch_alter_table("tickets") as tickets:
        tickets.create_unique_constraint("uq_tickets_status", ["status"])
"""
    history = world.history(migrations_with(tmp_path / "unique", e5=body))
    kind = HomeKind.SCHEMA if isinstance(world, PostgresWorld) else HomeKind.FILE
    home = world.home(kind)
    with pytest.raises(errors.MigrationFailed) as caught:
        history.apply(home, "e5", pace=PATIENT)
    # PostgreSQL's detail would be: Key (tenant_id, status)=(…, old) is duplicated.
    assert "uq_tickets_status" in str(caught.value) or "UNIQUE constraint failed" in str(caught.value)
    assert "old" not in str(caught.value.error)
    assert home.tenant is not None
    assert str(home.tenant) not in caught.value.error


@pytest.mark.soak
def test_readers_stall_no_longer_than_the_lock_timeout(on_postgres: PostgresWorld) -> None:
    """Readers come every few milliseconds while a long one is held open and a migration tries again and again."""
    history, home = on_postgres.history(), on_postgres.home(HomeKind.SCHEMA)
    pace, stalls, over = Pace(lock_timeout=0.3), [], threading.Event()

    def read() -> None:
        with on_postgres.admin(home) as reader:
            while not over.is_set():
                begun = time.perf_counter()
                reader.execute("SELECT count(*) FROM tickets")
                stalls.append(time.perf_counter() - begun)
                time.sleep(0.005)

    readers = [threading.Thread(target=read) for _ in range(4)]
    with on_postgres.admin(home) as long_reader:
        long_reader.execute("BEGIN; SELECT count(*) FROM tickets")
        for reader in readers:
            reader.start()
        for _ in range(20):
            with pytest.raises(errors.HomeBusy):
                history.apply(home, "b2", pace=pace)
        long_reader.execute("COMMIT")
    history.apply(home, "b2", pace=PATIENT)
    over.set()
    for reader in readers:
        reader.join(30)
    print(f"\n{len(stalls)} reads, the longest {max(stalls) * 1000:.0f} ms, lock_timeout 300 ms")
    assert max(stalls) < pace.lock_timeout + 0.1


def test_a_home_whose_tenant_is_being_moved_stays_as_it_is(world: World) -> None:
    history = world.history()
    with contextlib.closing(world.tenancy(New, MIGRATIONS)) as tenancy:
        server = tenancy.servers.main
        for kind in own_kinds(world):
            home = world.home(kind)
            assert home.tenant
            tenant = tenancy.tenants.get(home.tenant)
            fencing.prepare(server, tenant)
            with pytest.raises(errors.HomeBusy, match="the move or the restore of a tenant"):
                history.apply(home, "b2", pace=SHORT)
            assert world.revision(home) == "a1"
            with fencing.closed(server, tenant, departing=True):
                pass
            # A tombstone alone is no hindrance: common tables may keep one for long.
            fencing.take_down(server, tenant)
            assert history.apply(home, "b2", pace=PATIENT).steps == ["b2"]
            fencing.lift(server, tenant)
