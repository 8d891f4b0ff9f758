"""Homes of every kind go up and down; what is replayed leaves the same as Alembic itself does."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tenantry import errors
from tenantry.fleet import Pace
from tenantry.fleet.fingerprints_homes import shapes_of
from tenantry.fleet.homes import Home, HomeKind, homes_of

from .models import New, Note, Ticket
from .worlds import TICKETS, PostgresWorld, SqliteWorld, World, migrations_with, own_kinds

PACE = Pace(lock_timeout=2.0)
# Ten of a tenant's twenty tickets have a number below ten.
OLD = 10
ALEMBIC_ITSELF = "replay = False\n\n\ndef upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"


def test_every_home_goes_up_and_down(fresh: World) -> None:
    history = fresh.history()
    homes = [fresh.home(kind) for kind in fresh.kinds]
    begun = {home: fresh.home(home.kind) for home in homes if home.tenant}
    for home in homes:
        applied = history.apply(home, "d4", pace=PACE)
        assert (applied.before, applied.after, applied.steps) == ("a1", "d4", ["b2", "c3", "d4"])
        assert applied.touched == ({} if home.kind is HomeKind.PLATFORM else {"tickets": OLD})
    assert set(history.read(homes).values()) == {"d4"}
    for home in homes:
        assert history.apply(home, "a1", pace=PACE).steps == ["d4", "c3", "b2"]
    assert set(history.read(homes).values()) == {"a1"}
    assert [fresh.differences(home, other) for home, other in begun.items()] == [[]] * len(begun)
    for home in homes:
        history.apply(home, None, pace=PACE)
        history.apply(home, "d4", pace=PACE)
    assert set(history.read(homes).values()) == {"d4"}


def test_the_rows_are_there_and_reached_by_sessions(world: World) -> None:
    history = world.history()
    for kind in own_kinds(world):
        home = world.home(kind)
        history.apply(home, "d4", pace=PACE)
        with contextlib.closing(world.tenancy(New)) as tenancy, tenancy.transaction(home.tenant) as db:
            tickets = db.scalars(select(Ticket)).all()
            assert len([ticket for ticket in tickets if ticket.status == "old"]) == OLD
            assert len([ticket for ticket in tickets if ticket.status == "open"]) == TICKETS - OLD
            db.add(Note(ticket_id=tickets[0].id, body="seen"))
            db.flush()
            db.delete(tickets[0])
            db.flush()
            assert db.scalars(select(Note)).all() == []


def test_nothing_is_done_where_nothing_is_to_do(world: World) -> None:
    history = world.history()
    for kind in own_kinds(world):
        home = world.home(kind)
        applied = history.apply(home, "a1", pace=PACE)
        assert (applied.before, applied.after, applied.steps, applied.touched) == ("a1", "a1", (), {})


def test_what_is_replayed_equals_what_alembic_does(world: World, tmp_path: Path) -> None:
    replaying = world.history()
    itself = world.history(migrations_with(tmp_path / "itself", e5=ALEMBIC_ITSELF))
    for kind in own_kinds(world):
        one, other = world.home(kind), world.home(kind)
        replayed = replaying.apply(one, "d4", pace=PACE)
        done = itself.apply(other, "e5", pace=PACE)
        assert list(done.steps) == [*replayed.steps, "e5"]
        assert done.touched == replayed.touched == {"tickets": OLD}
        assert world.differences(one, other) == []
        replaying.apply(one, "a1", pace=PACE)
        itself.apply(other, "a1", pace=PACE)
        assert world.differences(one, other) == []


def test_common_homes_are_replayed_as_alembic_does(fresh: World, tmp_path: Path) -> None:
    """The common homes of a server exist once, so the two ways are gone one after the other."""
    itself = fresh.history(migrations_with(tmp_path / "itself", e5=ALEMBIC_ITSELF))
    replaying = fresh.history()
    for kind in fresh.kinds:
        if kind in (HomeKind.COMMON, HomeKind.PLATFORM):
            home = fresh.home(kind)
            itself.apply(home, "e5", pace=PACE)
            by_alembic = shape(fresh, home)
            itself.apply(home, "a1", pace=PACE)
            replaying.apply(home, "d4", pace=PACE)
            assert shape(fresh, home) == by_alembic


def shape(world: World, home: Home) -> Any:
    with contextlib.closing(world.tenancy(New)) as tenancy:
        return shapes_of(tenancy, [home])[home]


def test_a_revision_that_reads_rows_is_left_to_alembic(world: World, tmp_path: Path) -> None:
    body = """
def upgrade() -> None:
    count = op.get_bind().execute(sa.text("SELECT count(*) FROM alembic_version_copy")).scalar()
    op.add_column("tickets", sa.Column(f"seen_{count}", sa.Integer()))
"""
    history = world.history(migrations_with(tmp_path / "reading", e5=body))
    for kind in own_kinds(world):
        counts = (1, 3)
        homes = [world.home(kind) for _ in counts]
        for home, count in zip(homes, counts, strict=True):
            with contextlib.closing(world.connect(home)) as connection:
                connection.execute("CREATE TABLE alembic_version_copy (x int)")
                connection.execute(f"INSERT INTO alembic_version_copy VALUES {', '.join(['(1)'] * count)}")
            history.apply(home, "e5", pace=PACE)
        for home, count in zip(homes, counts, strict=True):
            assert f"seen_{count}" in world.columns(home, "tickets")


def test_a_revision_that_goes_by_how_many_rows_it_touched_is_left_to_alembic(world: World, tmp_path: Path) -> None:
    body = """
def upgrade() -> None:
    touched = op.data("UPDATE tickets SET status = 'seen' WHERE number < 3")
    op.add_column("tickets", sa.Column("some" if touched else "none", sa.Integer()))
"""
    history = world.history(migrations_with(tmp_path / "counting", e5=body))
    for kind in own_kinds(world):
        home = world.home(kind)
        assert history.apply(home, "e5", pace=PACE).touched == {"tickets": OLD + 3}
        assert "some" in world.columns(home, "tickets")


def test_a_revision_that_makes_values_in_python_makes_them_for_each_home(world: World, tmp_path: Path) -> None:
    body = """
import uuid


def upgrade() -> None:
    op.create_table("marks", sa.Column("mark", sa.String(40)))
    op.execute(f"INSERT INTO marks VALUES ('{uuid.uuid4()}')")
"""
    history = world.history(migrations_with(tmp_path / "making", e5=body))
    for kind in own_kinds(world):
        marks = set()
        for _ in range(2):
            home = world.home(kind)
            history.apply(home, "e5", pace=PACE)
            with contextlib.closing(world.connect(home)) as connection:
                marks |= {mark for (mark,) in connection.execute("SELECT mark FROM marks").fetchall()}
        assert len(marks) == 2


def test_a_revision_that_asks_which_home_it_is_in_is_asked_in_each(world: World, tmp_path: Path) -> None:
    body = """
def upgrade() -> None:
    op.create_table("marks", sa.Column("mark", sa.String(40)))
    home = op.get_context().opts["tenantry_site"].home
    op.execute(f"INSERT INTO marks VALUES ('{home.slug}')")
"""
    history = world.history(migrations_with(tmp_path / "asking", e5=body))
    for kind in own_kinds(world):
        for _ in range(2):
            home = world.home(kind)
            history.apply(home, "e5", pace=PACE)
            with contextlib.closing(world.connect(home)) as connection:
                assert connection.execute("SELECT mark FROM marks").fetchall() == [(home.slug,)]


def test_a_failing_revision_leaves_the_home_as_it_was(world: World, tmp_path: Path) -> None:
    body = """
def upgrade() -> None:
    op.add_column("tickets", sa.Column("first", sa.Integer()))
    op.execute("INSERT INTO nowhere VALUES (1)")
"""
    history = world.history(migrations_with(tmp_path / "failing", e5=body))
    for kind in own_kinds(world):
        home, untouched = world.home(kind), world.home(kind)
        with pytest.raises(errors.MigrationFailed) as caught:
            history.apply(home, "e5", pace=PACE)
        assert caught.value.step == "e5"
        assert "nowhere" in str(caught.value)
        # An index that is made outside transactions stays made, with the revisions before it.
        assert world.revision(home) == ("a1" if kind is HomeKind.FILE else "d4")
        history.apply(home, "a1", pace=PACE)
        assert world.differences(home, untouched) == []


def test_an_orphan_from_before_the_key_makes_the_home_fail(world: World, tmp_path: Path) -> None:
    history = world.history()
    body = """
def upgrade() -> None:
    with op.batch_alter_table("tickets") as tickets:
        tickets.create_foreign_key("fk_tickets_company", "companies", ["company_id"], ["id"])


def downgrade() -> None:
    pass
"""
    column = """
def upgrade() -> None:
    op.add_column("tickets", sa.Column("company_id", sa.Uuid()))


def downgrade() -> None:
    pass
"""
    history = world.history(migrations_with(tmp_path / "keys", e5=column, f6=body))
    for kind in own_kinds(world):
        orphaned, sound = world.home(kind), world.home(kind)
        for home in (orphaned, sound):
            history.apply(home, "e5", pace=PACE)
        plant_orphan(world, orphaned)
        with pytest.raises(errors.MigrationFailed) as caught:
            history.apply(orphaned, "f6", pace=PACE)
        assert "tickets" in str(caught.value)
        assert world.revision(orphaned) == "e5"
        assert history.apply(sound, "f6", pace=PACE).steps == ["f6"]


def plant_orphan(world: World, home: Home) -> None:
    identifier = uuid.uuid4()
    if isinstance(world, PostgresWorld):
        with world.admin(home) as connection:
            connection.execute("UPDATE tickets SET company_id = %s WHERE number = 3", [identifier])
    else:
        with contextlib.closing(world.connect(home)) as connection:
            connection.execute("UPDATE tickets SET company_id = ? WHERE number = 3", [identifier.hex])


def test_stamping_records_and_runs_nothing(world: World) -> None:
    history = world.history()
    for kind in own_kinds(world):
        home, untouched = world.home(kind), world.home(kind)
        assert (history.stamp(home, "c3").before, world.revision(home)) == ("a1", "c3")
        history.stamp(home, None)
        assert world.revision(home) is None
        assert world.differences(home, untouched) == []


def test_the_preview_is_what_is_run(world: World) -> None:
    history = world.history()
    for kind in own_kinds(world):
        home = world.home(kind)
        script = history.sql(home, "b2")
        assert world.revision(home) == "a1"
        assert "CREATE TABLE notes" in script
        assert "UPDATE tickets SET status = 'old'" in script
        if isinstance(world, SqliteWorld):
            with contextlib.closing(world.connect(home)) as connection:
                connection.executescript(script)
        else:
            with contextlib.closing(world.connect(home)) as connection:
                connection.execute(script)
        assert world.revision(home) == "b2"
        other = world.home(kind)
        history.apply(other, "b2", pace=PACE)
        assert world.differences(home, other) == []


def test_a_relative_target_starts_where_the_whole_fleet_stands(fresh: World) -> None:
    history = fresh.history()
    home = fresh.home(own_kinds(fresh)[0])
    assert (history.resolve("+1"), history.resolve("-1")) == ("b2", None)
    assert (history.resolve("head-1"), history.resolve("a1+2"), history.resolve("base")) == ("c3", "c3", None)
    history.apply(home, "b2", pace=PACE)
    with pytest.raises(errors.RevisionUnknown):
        history.resolve("+1")
    with contextlib.closing(fresh.tenancy(New)) as tenancy:
        for every in homes_of(tenancy):
            history.apply(every, "b2", pace=PACE)
    assert history.resolve("+1") == "c3"
