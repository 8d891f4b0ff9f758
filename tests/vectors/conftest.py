"""One ground for the room: pgvector is among its extensions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened

from tenantry.settings import Config

from .toys import Base, Room


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    config = Config(extensions=("vector",))
    with opened(postgres, tmp_path_factory.mktemp("vectors"), Base, Room, config=config) as ground:
        yield ground
