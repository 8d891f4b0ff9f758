"""Uniqueness among live rows under migrations: made as the models say, and kept when a table is made anew."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from sqlalchemy import String, text
from sqlalchemy.orm import Mapped, mapped_column

from tenantry.fleet import checking, revisions
from tenantry.fleet.homes import common_homes
from tenantry.models import SoftDelete, TenantOwned

from . import models
from .places import Place

plainly = models.declare


def declare() -> SimpleNamespace:
    """Returns the models with a table whose rows are stamped when they go."""
    names = plainly()

    class Label(SoftDelete, TenantOwned, names.Base):  # type: ignore[misc, name-defined]  # made here
        __tablename__ = "labels"
        name: Mapped[str] = mapped_column(String(50), unique=True)

    return SimpleNamespace(**vars(names), Label=Label)


@pytest.fixture
def soft(make: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> Place:
    """An installation whose tables were made by its migrations."""
    monkeypatch.setattr(models, "declare", declare)
    place = make(create_tables=False)
    for target in ("nothing", "everything"):
        for home in common_homes(place.tenancy.servers.main):
            place.migrate(home)
        if target == "nothing":
            revisions.revision(place.tenancy, "everything")
    place.tenancy.install()
    return place


def _condition(place: Place) -> str:
    """Returns how the index of names is defined in the common home."""
    question = (
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'uq_labels_name'"
        if place.on_postgres
        else "SELECT sql FROM sqlite_master WHERE name = 'uq_labels_name'"
    )
    with place.owner() as connection:
        return str(connection.scalar(text(question)))


def test_a_revision_makes_the_index_and_the_next_is_empty(soft: Place) -> None:
    made = _condition(soft)
    assert made.startswith("CREATE UNIQUE INDEX")
    assert "tenant_id" in made
    assert "deleted_at IS NULL" in made
    for home in [soft.common, soft.own_home()]:
        soft.migrate(home)
        assert "'labels'" not in soft.compare(home=home)
    assert [found for found in checking.check(soft.tenancy) if "labels" in found.message] == []


def test_a_table_made_anew_keeps_it(soft: Place) -> None:
    with soft.working() as op, op.batch_alter_table("labels") as batch:
        batch.alter_column("name", type_=String(80), existing_type=String(50))
    assert "deleted_at IS NULL" in _condition(soft)


def test_an_index_written_by_hand_holds_live_rows_alone(soft: Place) -> None:
    live = text("deleted_at IS NULL")
    with soft.working() as op:
        op.drop_index("uq_labels_name", "labels")
        op.create_index("uq_labels_name", "labels", ["name"], unique=True, postgresql_where=live, sqlite_where=live)
    assert "tenant_id" in _condition(soft)
    assert "deleted_at IS NULL" in _condition(soft)
