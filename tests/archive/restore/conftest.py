"""One house for the room; every test has tenants and a store of its own in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .houses import FileHouse, House, opened


@pytest.fixture(scope="package")
def house(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(postgres, tmp_path_factory.mktemp("restore")) as house:
        yield house


@pytest.fixture(scope="package")
def file_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileHouse]:
    house = FileHouse(tmp_path_factory.mktemp("files"))
    yield house
    house.close()
