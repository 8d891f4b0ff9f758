"""A ground whose sessions are all watched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import PLACES, Door, Ground, Place, opened

from .models import Base, Watched


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Both databases, where `made(place)` is what watches."""
    with opened(postgres, tmp_path_factory.mktemp("observe"), Base, Watched) as ground:
        yield ground


@pytest.fixture(params=PLACES, ids=str)
def place(request: pytest.FixtureRequest) -> Place:
    """Each cell, through each of its doors."""
    return request.param


@pytest.fixture
def watched(ground: Ground, place: Place) -> Watched:
    """What watches the place, with nothing counted yet."""
    made: Watched = ground.made(place)
    made.metrics.clear()
    return made


@pytest.fixture
def door(ground: Ground, place: Place) -> Iterator[Door]:
    """A session of a tenant of the place."""
    with ground.session(place) as door:
        yield door
