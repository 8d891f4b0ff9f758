"""One stage for each door, and no account left behind by a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .stage import Stage, stages


@pytest.fixture(scope="package")
def every_stage(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Stage]]:
    with stages(postgres, tmp_path_factory.mktemp("access")) as made:
        yield made


@pytest.fixture
def stage(every_stage: dict[str, Stage], door: str) -> Iterator[Stage]:
    yield every_stage[door]
    every_stage[door].forget_all()
