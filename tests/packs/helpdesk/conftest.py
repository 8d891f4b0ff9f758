"""The helpdesk's ground, made once for the run, and a desk in every cell through every door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import PLACES

from .cells import Desk, Ground, Place, often


@pytest.fixture(scope="session")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    found = Ground(postgres, tmp_path_factory.mktemp("helpdesk"))
    yield found
    found.close()


@pytest.fixture(params=often(PLACES), ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def desk(ground: Ground, place: Place) -> Iterator[Desk]:
    """A session of a company with five tickets, whose neighbour has five of the same numbers."""
    with ground.session(place) as desk:
        yield desk
