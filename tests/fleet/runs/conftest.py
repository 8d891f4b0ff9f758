"""Fleets for the tests of runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .worlds import World


@pytest.fixture(scope="module", params=["pg", "files"])
def shared(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A fleet of mixed tenants that the tests of a module share; its catalog is in PostgreSQL, then in SQLite."""
    world = World(postgres, tmp_path_factory.mktemp("fleet"), catalog=request.param)
    world.fill(schema=4, database=1, file=4)
    yield world
    world.close()


@pytest.fixture
def world(shared: World) -> World:
    """The same, before its first revision and without a journal."""
    shared.reset()
    return shared
