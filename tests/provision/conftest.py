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


def make(kind: str, postgres: Any, directory: Path) -> Place:
    if kind == "postgresql":
        return PostgresPlace(postgres, directory / "migrations")
    return SqlitePlace(directory / "data", directory / "migrations")


@pytest.fixture(params=["postgresql", "sqlite"])
def place(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[Place]:
    made = make(request.param, postgres, tmp_path)
    yield made
    made.close()


@pytest.fixture(
    params=["postgresql-schema", pytest.param("postgresql-database", marks=pytest.mark.soak), "sqlite-database"]
)
def own(request: pytest.FixtureRequest, postgres: Any, tmp_path: Path) -> Iterator[tuple[Place, str]]:
    """An installation, and an isolation under which its tenants have a placement of their own."""
    kind, isolation = request.param.split("-")
    made = make(kind, postgres, tmp_path)
    yield made, isolation
    made.close()
