"""Fleets for the tests of runs; modules that say ``CATALOGS`` have theirs on PostgreSQL, on SQLite, or on both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .worlds import World


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "shared" in metafunc.fixturenames:
        catalogs = getattr(metafunc.module, "CATALOGS", ("pg",))
        metafunc.parametrize("shared", catalogs, indirect=True, scope="session")


@pytest.fixture(scope="session")
def shared(request: pytest.FixtureRequest, postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A fleet of mixed tenants that tests share, its catalog in PostgreSQL or in SQLite."""
    world = World(postgres, tmp_path_factory.mktemp("fleet"), catalog=request.param)
    world.fill(schema=4, database=1, file=4)
    yield world
    world.close()


@pytest.fixture
def world(shared: World) -> World:
    """The same, before its first revision and without a journal."""
    shared.reset()
    return shared
