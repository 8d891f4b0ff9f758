"""One ground for the room: both databases, with a tenant and a neighbour in each of the five cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened

from .models import Base


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("rows"), Base, lambda _: None) as ground:
        yield ground
