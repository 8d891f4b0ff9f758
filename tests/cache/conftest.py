"""A ground where every tenancy has a cache in memory and one in Redis; tenancies share the stores, as processes do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cells import Ground, opened
from limits.redis_server import PROGRAM, redis_server

from tenantry.cache import Store
from tenantry.cache.memory import MemoryStore
from tenantry.cache.redis import RedisStore

from .models import Base, Caches


@pytest.fixture(scope="package")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Store]]:
    """The stores there are: Redis where its program is."""
    found: dict[str, Store] = {"memory": MemoryStore()}
    if PROGRAM is None:
        yield found
        return
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        far = RedisStore(server.url, timeout=10)
        yield {**found, "redis": far}
        far.close_connections()


@pytest.fixture(scope="package")
def ground(postgres: Any, stores: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Both databases, where `made(place)` has the caches."""
    with opened(postgres, tmp_path_factory.mktemp("cache"), Base, lambda tenancy: Caches(tenancy, stores)) as ground:
        yield ground
        if "redis" in stores:
            ground.runner.run(stores["redis"].close_connections_async())
