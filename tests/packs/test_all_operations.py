"""What is done with a whole tenant keeps every row of every table of every pack, and the neighbour's with them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tenantry.archive import Archive, KeyRing
from tenantry.move import Move

from .everything import Scene, packs, scene

PACKS = {pack.name: pack for pack in packs()}
# Where a tenant stands, and where it is moved.
WAYS = {"postgresql-rows": "schema", "sqlite-file": "rows"}

pytestmark = pytest.mark.soak


@pytest.fixture(params=[f"{name}-{cell}" for cell in WAYS for name in PACKS])
def place(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Scene]:
    name, _, cell = request.param.partition("-")
    # The audit's chain is its own: rows made up beside it would be the tampering that it shows.
    with scene(PACKS[name], cell, postgres, tmp_path / "data", without="Audit") as found:
        yield found


def counts(place: Scene, slug: str) -> dict[str, int]:
    with place.tenancy.session(slug) as session:
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in place.tables}


def test_archived_restored_moved_and_erased(place: Scene, tmp_path: Path) -> None:
    keys = KeyRing({"key": secrets.token_bytes(32)}, "key")
    archive, slug = Archive(place.tenancy, tmp_path / "backups", keys=keys), place.a.slug
    mine, theirs = place.state(place.a), place.state(place.b)
    many = counts(place, slug)
    assert all(many.values())
    archived = archive.backup(slug)
    assert archive.verify(archived.name).rows.items() >= many.items()
    archive.restore(slug, into="copy")
    assert counts(place, "copy") == many
    archive.restore(slug, in_place=True)
    assert place.state(place.a) == mine
    move = Move(place.tenancy)
    move.start(slug, isolation=WAYS[place.cell], patience=30)
    move.finalize(slug)
    assert place.state(place.a) == mine
    for gone in ("copy", slug):
        place.tenancy.tenants.erase(gone, confirm=gone)
    assert place.state(place.b) == theirs
