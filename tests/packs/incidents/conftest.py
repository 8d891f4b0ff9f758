"""The ground of incidents, made once for the run, and a desk in every cell through every door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import PLACES as EVERY

from .cells import PLACES, Desk, Ground, Place, Units


@pytest.fixture(scope="session")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    found = Ground(postgres, tmp_path_factory.mktemp("incidents"))
    yield found
    found.close()


@pytest.fixture(
    params=[pytest.param(each, id=str(each), marks=() if each in PLACES else pytest.mark.soak) for each in EVERY]
)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def desk(ground: Ground, place: Place) -> Iterator[Desk]:
    """A session of a tenant with two workflows, three events and three incidents, whose neighbour has as many."""
    with ground.session(place) as desk:
        yield desk


@pytest.fixture
def units(ground: Ground, place: Place) -> Units:
    """The units of work of that tenant, which commit."""
    return Units(ground, place)
