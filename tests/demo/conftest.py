"""One embedded server for the demo's tests of a worker; each test gets databases of its own on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantry import Tenancy
from tenantry.cli.demo import world
from tenantry.embedded import PostgresServer

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def tenancy(server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenancy]:
    """The demo's tenancy, installed and empty."""
    monkeypatch.setattr(world, "DATABASE", f"helpdesk_{next(numbers)}")
    with world.installed_helpdesk(server, str(tmp_path)) as pack:
        yield pack.tenancy
