"""One ground for the room, and an empty outbox in each cell for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened

from tenantry.outbox import Outbox

from .models import Base


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("outbox"), Base, Outbox) as ground:
        yield ground
