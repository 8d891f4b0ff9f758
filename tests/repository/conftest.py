"""One ground for the run, and a door for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import PLACES, Place

from .doors import Door, Ground


@pytest.fixture(scope="session")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    found = Ground(postgres, tmp_path_factory.mktemp("repository"))
    yield found
    found.close()


@pytest.fixture(params=PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def door(ground: Ground, place: Place) -> Iterator[Door]:
    """A session of a tenant with seven tickets, in each cell through each door."""
    with ground.session(place) as door:
        yield door
