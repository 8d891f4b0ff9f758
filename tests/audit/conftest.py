"""One ground for the room, with an audit in each tenancy that captures people and pets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened

from .models import Base, audited


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("audit"), Base, audited) as ground:
        yield ground
