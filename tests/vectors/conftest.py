"""One ground for the room, with pgvector where the server has it: the embedded one does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened

from tenantry.settings import Config

from .toys import Base, Room


@pytest.fixture(scope="package")
def extensions(postgres: Any) -> tuple[str, ...]:
    """The extensions for vectors that the server offers."""
    with postgres.admin() as connection:
        question = "SELECT name FROM pg_available_extensions WHERE name = 'vector'"
        return tuple(name for (name,) in connection.execute(question))


@pytest.fixture(scope="package")
def ground(postgres: Any, extensions: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    config = Config(extensions=extensions)
    with opened(postgres, tmp_path_factory.mktemp("vectors"), Base, Room, config=config) as ground:
        yield ground
