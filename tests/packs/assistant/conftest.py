"""The assistant's ground, made once for the run, and a desk in every cell through every door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .cells import PLACES, Desk, Ground, Place


@pytest.fixture(scope="session")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    found = Ground(postgres, tmp_path_factory.mktemp("assistant"))
    yield found
    found.close()


@pytest.fixture(params=PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    return request.param


@pytest.fixture
def desk(ground: Ground, place: Place) -> Iterator[Desk]:
    """A session of a company with three documents and a conversation, whose neighbour has as many."""
    with ground.session(place) as desk:
        yield desk
