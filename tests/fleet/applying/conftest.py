"""Installations that the tests of a module share, and one for those that change what all of them see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .worlds import PostgresWorld, SqliteWorld, World


@pytest.fixture(scope="module")
def on_postgres(postgres: Any) -> Iterator[PostgresWorld]:
    """Tenantry on PostgreSQL."""
    made = PostgresWorld(postgres)
    yield made
    made.close()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteWorld]:
    """Tenantry in a directory."""
    made = SqliteWorld(tmp_path_factory.mktemp("data") / "files")
    yield made
    made.close()


@pytest.fixture(params=["postgresql", "sqlite"])
def world(request: pytest.FixtureRequest, on_postgres: PostgresWorld, on_sqlite: SqliteWorld) -> World:
    """The installation on each database in turn."""
    return on_postgres if request.param == "postgresql" else on_sqlite


@pytest.fixture(params=["postgresql", "sqlite"])
def fresh(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[World]:
    """One on each database for this test alone."""
    made = PostgresWorld(postgres) if request.param == "postgresql" else SqliteWorld(tmp_path / "data")
    yield made
    made.close()
