"""One house for the room, of the kind in which persons are erased; every test has tenants of its own in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ..erase.houses import House, opened


@pytest.fixture(scope="package")
def house(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(postgres, tmp_path_factory.mktemp("export")) as house:
        yield house
