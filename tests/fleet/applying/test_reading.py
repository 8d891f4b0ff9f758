"""Where homes stand is read by one question per server, from what the homes themselves record."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from tenantry import errors
from tenantry.fleet import Fleet, Pace, Position
from tenantry.fleet.homes import Home, HomeKind

from .models import New
from .worlds import MIGRATIONS, PostgresWorld, SqliteWorld, World, migrations_with, own_kinds

PACE = Pace(lock_timeout=10.0)
NOTHING = "def upgrade() -> None:\n    pass\n"


def test_a_server_is_asked_once_however_many_schemas_it_has(on_postgres: PostgresWorld) -> None:
    homes = [on_postgres.home(HomeKind.SCHEMA) for _ in range(5)]
    history = on_postgres.history()
    history.stamp(homes[1], "b2")
    history.stamp(homes[2], None)
    asked: list[str] = []
    with counted(asked):
        found = history.read(homes)
    assert [found[home] for home in homes] == ["a1", "b2", None, "a1", "a1"]
    assert len(asked) == 1


def test_databases_are_read_from_one_question_too(on_postgres: PostgresWorld) -> None:
    homes = [on_postgres.home(HomeKind.DATABASE) for _ in range(3)]
    history = on_postgres.history()
    history.apply(homes[1], "b2", pace=PACE)
    asked: list[str] = []
    with counted(asked):
        found = history.read(homes)
    assert [found[home] for home in homes] == ["a1", "b2", "a1"]
    assert len(asked) == 1


@contextlib.contextmanager
def counted(asked: list[str]) -> Any:
    """Notes what psycopg's cursors send meanwhile."""
    execute = psycopg.Cursor.execute

    def noting(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(query))
        return execute(self, query, *arguments, **options)

    psycopg.Cursor.execute = noting
    try:
        yield
    finally:
        psycopg.Cursor.execute = execute


def test_a_database_keeps_its_note_whoever_changes_its_revision(on_postgres: PostgresWorld) -> None:
    history, home = on_postgres.history(), on_postgres.home(HomeKind.DATABASE)
    history.apply(home, "b2", pace=PACE)
    with contextlib.closing(on_postgres.connect(home)) as anybody:
        anybody.execute("UPDATE alembic_version SET version_num = 'c3'")
        assert history.read([home])[home] == "c3"
        anybody.execute("BEGIN; DELETE FROM alembic_version; ROLLBACK")
        assert history.read([home])[home] == "c3"
        anybody.execute("TRUNCATE alembic_version")
        assert history.read([home])[home] is None
        # What the comment says besides is not touched; where it says nothing, the database itself is asked.
        anybody.execute(f"COMMENT ON DATABASE {home.physical} IS 'a customer of ours'")
        anybody.execute("INSERT INTO alembic_version VALUES ('b2')")
        comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        assert anybody.execute(comment, [home.physical]).fetchone() == ("a customer of ours\nrevision: b2",)
        anybody.execute(f"COMMENT ON DATABASE {home.physical} IS NULL")
        assert history.read([home])[home] == "b2"


def test_new_homes_are_found_where_they_were_stamped(fresh: World) -> None:
    history = fresh.history()
    for kind in fresh.kinds:
        if kind not in own_kinds(fresh):
            # New homes get a copy of the Shared rows from there.
            history.apply(fresh.home(kind), "d4", pace=PACE)
    homes = [fresh.new_home(kind) for kind in own_kinds(fresh)]
    assert set(history.read(homes).values()) == {"d4"}
    for home in homes:
        assert history.apply(home, "a1", pace=PACE).steps == ["d4", "c3", "b2"]
        assert history.apply(home, "d4", pace=PACE).steps == ["b2", "c3", "d4"]


def test_a_home_that_is_gone_stands_nowhere_and_is_not_made_again(world: World) -> None:
    history = world.history()
    for kind in own_kinds(world):
        gone, here = world.home(kind), world.home(kind)
        world.remove(gone)
        assert history.read([gone, here]) == {gone: None, here: "a1"}
        with pytest.raises((errors.MigrationFailed, errors.HomeBusy)):
            history.apply(gone, "d4", pace=Pace(lock_timeout=0.2))
        assert history.read([gone])[gone] is None
        assert not world.stands(gone)


def test_versions_are_the_owners_alone(world: World) -> None:
    history = world.history()
    for kind in own_kinds(world):
        home = world.home(kind)
        history.apply(home, "b2", pace=PACE)
        with contextlib.closing(world.tenancy(New, MIGRATIONS)) as tenancy:
            for statement in ("SELECT * FROM alembic_version", "DELETE FROM alembic_version"):
                with (
                    tenancy.session(home.tenant) as db,
                    pytest.raises(DBAPIError, match=r"denied|authorized|prohibited"),
                ):
                    db.connection().exec_driver_sql(statement)
        assert world.revision(home) == "b2"


def test_positions_are_told_apart(world: World, tmp_path: Path) -> None:
    history = world.history()
    positions = {current: history.position(current, "b2") for current in (None, "a1", "b2", "c3", "unheard-of")}
    assert positions == {
        None: Position.BEHIND,
        "a1": Position.BEHIND,
        "b2": Position.AT,
        "c3": Position.AHEAD,
        "unheard-of": Position.DIVERGED,
    }
    branched = world.history(branches(tmp_path / "branched"))
    with pytest.raises(errors.SeveralHeads) as caught:
        branched.resolve("head")
    assert (caught.value.count, caught.value.heads) == (2, "e5, x5")
    assert branched.position("e5", "x5") is Position.DIVERGED
    assert branched.resolve("x5") == "x5"
    kind = own_kinds(world)[0]
    home = world.home(kind)
    branched.apply(home, "e5", pace=PACE)
    with pytest.raises(errors.Diverged):
        branched.apply(home, "x5", pace=PACE)
    assert world.revision(home) == "e5"


def branches(directory: Path) -> Path:
    """Returns migrations with two heads."""
    made = migrations_with(directory, e5=NOTHING)
    other = (made / "versions" / "e5.py").read_text().replace("'e5'", "'x5'")
    (made / "versions" / "x5.py").write_text(other)
    return made


def test_a_merge_is_reached_from_either_branch(world: World, tmp_path: Path) -> None:
    made = branches(tmp_path / "merged")
    (made / "versions" / "m6.py").write_text(f"revision = 'm6'\ndown_revision = ('e5', 'x5')\n\n{NOTHING}")
    history = world.history(made)
    assert history.resolve("head") == "m6"
    for begun in ("d4", "e5", "x5"):
        home = world.home(own_kinds(world)[0])
        history.apply(home, begun, pace=PACE)
        assert history.apply(home, "m6", pace=PACE).steps[-1] == "m6"
        assert world.revision(home) == "m6"


def test_targets_are_named_as_people_name_them(world: World) -> None:
    history = world.history()
    named = {target: history.resolve(target) for target in ("head", "base", "b2", "head-3", "a1+1", "d4-4")}
    assert named == {"head": "d4", "base": None, "b2": "b2", "head-3": "a1", "a1+1": "b2", "d4-4": None}
    for unknown in ("zz", "head+1", "base-1", "d4-9"):
        with pytest.raises(errors.RevisionUnknown):
            history.resolve(unknown)
    with pytest.raises(errors.MigrationsMissing):
        world.history(Path("/nowhere")).resolve("head")


@pytest.mark.soak
def test_a_thousand_schemas_are_read_in_well_under_two_seconds(on_postgres: PostgresWorld) -> None:
    home = on_postgres.home(HomeKind.SCHEMA)
    names = [f"t_{number:032x}" for number in range(1000)]
    with contextlib.closing(on_postgres.connect(home)) as connection:
        for name in names:
            connection.execute(
                f"CREATE SCHEMA {name}; CREATE TABLE {name}.alembic_version (version_num varchar(32)); "
                f"INSERT INTO {name}.alembic_version VALUES ('a1')"
            )
    history = on_postgres.history()
    homes = [Home("main", HomeKind.SCHEMA, name, home.tenant, name) for name in names]
    begun = time.perf_counter()
    assert set(history.read(homes).values()) == {"a1"}
    seconds = time.perf_counter() - begun
    print(f"\n1,000 schemas read in {seconds * 1000:.0f} ms")
    assert seconds < 2


def test_a_drifted_file_is_not_replayed_on(on_sqlite: SqliteWorld) -> None:
    """What was recorded for other files would lose what somebody added to this one by hand."""
    history = on_sqlite.history()
    history.apply(on_sqlite.home(HomeKind.FILE), "d4", pace=PACE)
    drifted = on_sqlite.home(HomeKind.FILE)
    with contextlib.closing(on_sqlite.connect(drifted)) as connection:
        connection.execute("ALTER TABLE tickets ADD COLUMN added_by_hand TEXT")
        connection.execute("UPDATE tickets SET added_by_hand = 'kept'")
    assert history.apply(drifted, "d4", pace=PACE).touched == {"tickets": 10}
    with contextlib.closing(on_sqlite.connect(drifted)) as connection:
        assert connection.execute("SELECT DISTINCT added_by_hand FROM tickets").fetchall() == [("kept",)]


def test_a_newer_programs_revision_is_ahead_if_the_journal_tells_so(fresh: World, tmp_path: Path) -> None:
    """The processes of the last release still run, and look at homes that the next one has migrated."""
    older, newer = fresh.history(), fresh.history(migrations_with(tmp_path / "newer", e5=NOTHING, f6=NOTHING))
    homes = [fresh.home(kind) for kind in fresh.kinds]
    for home in homes:
        newer.stamp(home, "f6")
    assert older.position("f6", "d4") is Position.DIVERGED
    for home in homes:
        newer.stamp(home, "a1")
    for target in ("d4", "e5", "f6"):
        with contextlib.closing(fresh.tenancy(New, tmp_path / "newer")) as tenancy:
            assert Fleet(tenancy).upgrade(target).ok
    assert [older.position(current, "d4") for current in ("d4", "e5", "f6")] == [Position.AT, *[Position.AHEAD] * 2]
    with contextlib.closing(fresh.tenancy(New, MIGRATIONS)) as tenancy:
        # Nothing is to do for the older program, and nothing is wrong.
        outcome = Fleet(tenancy).upgrade()
        assert (outcome.ok, len(outcome.works)) == (True, 0)
    with pytest.raises(errors.Diverged):
        older.apply(homes[-1], "a1", pace=PACE)


def test_reading_leaves_no_files_behind_and_misses_nothing_that_is_written(on_sqlite: SqliteWorld) -> None:
    history, home = on_sqlite.history(), on_sqlite.home(HomeKind.FILE)
    file = on_sqlite.file(home)
    on_sqlite.let_go(home)
    assert history.read([home])[home] == "a1"
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(file.name)] == [file.name]
    with contextlib.closing(on_sqlite.connect(home)) as writer:
        # Not yet in the file itself, but in its log.
        writer.execute("UPDATE alembic_version SET version_num = 'b2'")
        assert history.read([home])[home] == "b2"
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE alembic_version SET version_num = 'c3'")
        assert history.read([home])[home] == "b2"
        writer.execute("COMMIT")
        assert history.read([home])[home] == "c3"
    assert history.read([home])[home] == "c3"
    with contextlib.closing(on_sqlite.connect(home)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE alembic_version SET version_num = 'd4'")
        assert history.read([home])[home] == "c3"
        writer.execute("COMMIT")
    assert history.read([home])[home] == "d4"


def test_a_database_that_is_somebody_elses_is_migrated_and_asked_itself(on_postgres: PostgresWorld) -> None:
    """As one that a customer brought: its owner's login may change the tables in it, and not comment on it."""
    history, home = on_postgres.history(), on_postgres.home(HomeKind.DATABASE)
    with on_postgres.admin(home) as admin:
        admin.execute("DROP TRIGGER tenantry_note_revision ON alembic_version")
        admin.execute(f"ALTER DATABASE {home.physical} OWNER TO CURRENT_USER")
        admin.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {on_postgres.boss}")
        admin.execute(f"COMMENT ON DATABASE {home.physical} IS NULL")
        assert history.apply(home, "b2", pace=PACE).steps == ["b2"]
        assert history.read([home])[home] == "b2"
        admin.execute(f"ALTER DATABASE {home.physical} OWNER TO {on_postgres.boss}")
