"""A ground with rates and quotas, and clients in other processes, that the tests of both share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened

from .crowd import Crowd, crowd, places_of
from .models import Base, Limited


@pytest.fixture(scope="package")
def ground(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Both databases, where `made(place)` has rates and quotas."""
    with opened(postgres, tmp_path_factory.mktemp("limits"), Base, Limited) as ground:
        yield ground


@pytest.fixture(scope="package")
def clients(ground: Ground) -> Iterator[Crowd]:
    """Two processes of clients."""
    with crowd(places_of(ground), processes=2) as clients:
        yield clients
