"""The exported suites hold for every table of every pack, in every cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tenantry.testing import conformance, leaks

from .everything import CELLS, Scene, packs, scene

PACKS = {pack.name: pack for pack in packs()}
SHORT = "postgresql-rows"


def _places() -> list[Any]:
    """Returns every pack in one cell through one door, and, for who has minutes, in every cell through all."""
    short = [pytest.param((name, SHORT, ["sync"]), id=f"{name}-{SHORT}") for name in PACKS]
    whole = [((name, cell, []), f"{name}-{cell}-all") for cell in CELLS for name in PACKS]
    return [*short, *(pytest.param(each, id=said, marks=pytest.mark.soak) for each, said in whole)]


@pytest.fixture(scope="module", params=_places())
def tenantry_ground(
    request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    name, cell, doors = request.param
    with scene(PACKS[name], cell, postgres, tmp_path_factory.mktemp(name)) as found:
        found.doors = {door: tenancy for door, tenancy in found.tenancies.items() if door in doors or not doors}
        yield found


def test_there_are_five_packs_and_each_table_has_rows_of_both(tenantry_ground: Scene) -> None:
    assert set(PACKS) >= {"assistant", "documents", "helpdesk", "incidents", "meetings"}
    for side in (tenantry_ground.a, tenantry_ground.b):
        assert set(side.rows) == {table.name for table in tenantry_ground.tables}
        assert side.is_in(side.rows)
    assert not tenantry_ground.a.is_in(tenantry_ground.b.rows)


class TestLeaks(leaks.Suite):
    pass


class TestConformance(conformance.Suite):
    pass
