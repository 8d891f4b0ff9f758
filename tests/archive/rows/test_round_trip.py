"""Rows carried from every cell to every other and to another tenant: the same digests, and neighbours as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from cells import CELLS, Ground

from tenantry.archive.places import reading, writing
from tenantry.archive.shapes import TableDigest
from tenantry.models.numbering import COUNTERS

from .places import Home, clear, digests, fill, held, home, scratch

Digests = dict[str, dict[str, TableDigest]]


@pytest.fixture(scope="module")
def filled(ground: Ground) -> Iterator[Ground]:
    """Every cell's tenant and neighbour with rows of their own."""
    for number, cell in enumerate(CELLS):
        for side in ("near", "far"):
            tenancy, tenant = home(ground, cell, side)
            with tenancy.transaction(tenant) as session:
                fill(session, tenant, seed=number * 2 + (side == "far"))
    yield ground
    for cell in CELLS:
        for side in ("near", "far"):
            clear(home(ground, cell, side))


@pytest.fixture(scope="module")
def neighbours(filled: Ground) -> Digests:
    """What the neighbours have before anything is carried."""
    return {cell: digests(*home(filled, cell, "far")) for cell in CELLS}


@pytest.fixture(scope="module")
def scratches(ground: Ground) -> Iterator[dict[str, Home]]:
    """An empty place of each kind."""
    with ExitStack() as stack:
        yield {cell: stack.enter_context(scratch(ground, cell)) for cell in CELLS}


# Between two of one kind of database less can go wrong.
PAIRS = [
    pytest.param(origin, target, marks=[pytest.mark.soak] if origin[:6] == target[:6] else [], id=f"{origin}-{target}")
    for origin in CELLS
    for target in CELLS
]


@pytest.mark.parametrize(("origin", "target"), PAIRS)
def test_rows_are_the_same_wherever_they_stand_and_whoever_owns_them(
    filled: Ground, neighbours: Digests, scratches: dict[str, Home], origin: str, target: str
) -> None:
    source, place, neighbour = home(filled, origin), scratches[target], home(filled, target, "far")
    before, whole = neighbours[target], digests(*source)
    assert all(digest.rows for name, digest in whole.items() if name != COUNTERS), whole
    _carry(source, place)
    try:
        assert digests(*place, as_tenant=source[1].id) == whole
        if target != origin:
            _check_way_back(source, place, scratches[origin])
    finally:
        assert clear(place) == {name: digest.rows for name, digest in whole.items()}
    assert digests(*neighbour) == before


def _check_way_back(source: Home, place: Home, back: Home) -> None:
    _carry(place, back)
    try:
        with reading(*back, as_tenant=source[1].id) as returned, reading(*source) as first:
            assert held(returned) == held(first)
    finally:
        clear(back)


def _carry(source: Home, place: Home) -> None:
    with reading(*source) as reader, writing(*place, as_tenant=source[1].id) as writer:
        for table in reader.tables:
            writer.fill(table, reader.rows(table))
        writer.settle()
        for table in reader.tables:
            assert writer.digest(table) == reader.digest(table)
