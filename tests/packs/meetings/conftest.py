"""The meetings' ground, made once for the run, and a room in every cell through every door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .cells import PLACES, Ground, Place, Room


@pytest.fixture(scope="session")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    found = Ground(postgres, tmp_path_factory.mktemp("meetings"))
    yield found
    found.close()


@pytest.fixture(params=PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def room(ground: Ground, place: Place) -> Iterator[Room]:
    """A session of a workspace with a user, a connection, an account and a meeting, whose neighbour has the same."""
    with ground.session(place) as room:
        yield room
