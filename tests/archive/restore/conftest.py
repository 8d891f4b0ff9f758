"""One house for the room; every test has tenants and a store of its own in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .houses import House, opened


@pytest.fixture(scope="package")
def house(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(postgres, tmp_path_factory.mktemp("restore")) as house:
        yield house
