"""One ground for the room; tests settle tenants of their own in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .grounds import Ground, opened


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("move") / "disk") as ground:
        yield ground
