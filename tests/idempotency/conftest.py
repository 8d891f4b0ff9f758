"""One ground for the room: orders that are placed, and a key for each call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened

from tenantry.idempotency import Idempotency

from .models import Base


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with opened(postgres, tmp_path_factory.mktemp("idempotency"), Base, Idempotency) as ground:
        yield ground
