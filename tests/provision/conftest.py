"""Installations with migrations; each of them is one test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .places import Place, PostgresPlace, SqlitePlace


@pytest.fixture
def on_postgres(postgres: Any, tmp_path: Path) -> Iterator[PostgresPlace]:
    place = PostgresPlace(postgres, tmp_path / "migrations")
    yield place
    place.close()


@pytest.fixture
def on_sqlite(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path / "data", tmp_path / "migrations")


@pytest.fixture(params=["postgresql", "sqlite"])
def place(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Place]:
    made: Place
    if request.param == "postgresql":
        made = PostgresPlace(postgres, tmp_path / "migrations")
    else:
        made = SqlitePlace(tmp_path / "data", tmp_path / "migrations")
    yield made
    made.close()
