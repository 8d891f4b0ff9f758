"""Append-only tables under migrations: made with their triggers, turned, renamed, rebuilt, and missed when they go."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, String, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from tenantry.fleet import checking, revisions
from tenantry.fleet.homes import Home, common_homes
from tenantry.fleet.owning import file_of
from tenantry.models import AppendOnly, CreatedAt, TenantOwned

from . import models
from .places import Place

plainly = models.declare


def declare(*marks: type) -> SimpleNamespace:
    """Returns the models with a table of events, which bears the mixins given."""
    names = plainly()

    class Event(*marks, CreatedAt, TenantOwned, names.Base):  # type: ignore[misc, name-defined]  # made here
        __tablename__ = "events"
        kind: Mapped[str] = mapped_column(String(50))

    return SimpleNamespace(**vars(names), Event=Event)


@pytest.fixture
def kept(make: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> Place:
    """An installation that keeps events, made by its migrations."""
    monkeypatch.setattr(models, "declare", lambda: declare(AppendOnly))
    place = make(create_tables=False)
    _migrate(place)
    file = revisions.revision(place.tenancy, "everything")
    _migrate(place)
    place.tenancy.install()
    assert "op.wall('events')\n    op.append_only('events')\n" in file.read_text(encoding="utf-8")
    assert "tenantry_append_only" not in file.read_text(encoding="utf-8")
    return place


def _migrate(place: Place, target: str = "head") -> None:
    for home in common_homes(place.tenancy.servers.main):
        place.migrate(home, target)


def _homes(place: Place) -> list[Home]:
    kinds = ["schema", "database"] if place.on_postgres else ["database"]
    return [place.common, *(place.own_home(kind) for kind in kinds)]


def _is_kept(place: Place, home: Home, table: str = "events") -> bool:
    """Whether the owner's own hand is stopped in a home, with a row there."""
    name = f"{table}__rows" if home == place.common and not place.on_postgres else table
    with place.owner(home) as connection:
        undone = connection.begin_nested()
        try:
            tenant = _insert(connection, name, place)
            changes = [f"UPDATE {name} SET kind = 'x'", f"DELETE FROM {name} WHERE tenant_id = '{tenant}'"]
            return all(_is_refused(connection, change) for change in changes)
        finally:
            undone.rollback()


def _insert(connection: Connection, name: str, place: Place) -> str:
    tenant = "0199a1b2c3d47000800000000000000a"
    if place.on_postgres:
        connection.execute(text(f"SET LOCAL tenantry.tenant = '{tenant}'"))
    connection.execute(
        text(f"INSERT INTO {name} (tenant_id, id, kind, created_at) VALUES ('{tenant}', '{tenant}', 'k', '2026-01-01')")
    )
    return tenant


def _is_refused(connection: Connection, change: str) -> bool:
    undone = connection.begin_nested()
    try:
        connection.execute(text(change))
    except DBAPIError as error:
        return "is append-only" in str(error)
    finally:
        undone.rollback()
    return False


def test_a_revision_makes_them_with_their_triggers_in_every_home(kept: Place) -> None:
    for home in _homes(kept):
        assert _is_kept(kept, home), home
        assert "append_only" not in kept.compare(home=home)
    assert [found for found in checking.check(kept.tenancy) if "events" in found.message] == []


def test_a_table_is_turned_and_turned_back(make: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "declare", declare)
    place = make(create_tables=False)
    _migrate(place)
    revisions.revision(place.tenancy, "everything")
    _migrate(place)
    place.tenancy.install()
    homes = _homes(place)
    assert not any(_is_kept(place, home) for home in homes)
    place.tenancy = place.open(declare(AppendOnly).Base)
    file = revisions.revision(place.tenancy, "kept")
    written = file.read_text(encoding="utf-8")
    assert written.count("op.append_only('events')") == written.count("op.append_only('events', on=False)") == 1
    for home in homes:
        place.migrate(home)
    assert all(_is_kept(place, home) for home in homes)
    assert all("append_only" not in place.compare(home=home) for home in homes)
    for home in homes:
        with place.working(home) as op:
            op.append_only("events", on=False)
    assert not any(_is_kept(place, home) for home in homes)


def test_a_wall_that_is_put_up_again_opens_nothing(kept: Place) -> None:
    with kept.working() as op:
        op.wall("events")
    assert _is_kept(kept, kept.common)
    assert "op." not in kept.compare().replace("op.get", "").partition("def upgrade")[2].partition("def downgrade")[0]


def test_the_triggers_follow_a_table(kept: Place) -> None:
    with kept.working() as op:
        op.rename_table("events", "happenings")
        with op.batch_alter_table("happenings") as batch:
            batch.alter_column("kind", type_=String(80), existing_type=String(50))
    assert _is_kept(kept, kept.common, "happenings")


def test_one_that_is_gone_is_missed(kept: Place) -> None:
    home = kept.common
    if kept.on_postgres:
        with kept.owner() as connection:
            connection.execute(text("DROP TRIGGER tenantry_append_only ON events"))
    else:
        with closing(sqlite3.connect(file_of(home, kept.tenancy.servers.main))) as connection:
            connection.execute("DROP TRIGGER tenantry_append_only_events_update")
    found = [finding for finding in checking.check(kept.tenancy) if "tenantry_append_only" in finding.message]
    assert [finding.code for finding in found] == ["F201"]
    assert "op.append_only('events')" in kept.compare() or not kept.on_postgres
